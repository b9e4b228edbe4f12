"""Everything that publishes: a checkout system's own events, replayed history, simulated shops.

`checkout.py` is the publisher a shop uses. `sources.py` turns purchase histories into records
(`complete_journey.py`, `cdnow.py`, `table.py`), `simulate.py` and `scramble.py` invent them, and
`replay.py` sends them, as fast as possible or paced by event time.
"""
