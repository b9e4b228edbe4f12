"""The simulated shops that are measured, and why each is as it is."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from heapq import merge

from producers.behaviour import Shock
from producers.personas import Persona
from producers.simulate import Change, ShopConfig, Simulation
from producers.sources import DAY_MS, Record

SHOCK_DAY = 150.0
CHANGE_DAY = 120.0
STAY_DAYS = 365.0
ERASED_WITHIN_DAYS = 30.0

_GROCERY = ("grocery", "produce", "dairy", "bakery")
APART = (
    Persona("weekly", 0.3, 7, 45, 9, _GROCERY, season=0),
    Persona("big-monthly", 0.2, 30, 240, 24, ("grocery", "household"), spread=0.25, season=0),
    Persona("bargain", 0.25, 12, 24, 5, ("grocery", "clothes"), bargain=0.35, season=0),
    Persona("small-monthly", 0.25, 30, 18, 2, ("gifts", "toys"), season=0, channel="web"),
    Persona("daily-premium", 0.0, 2, 100, 6, ("deli", "wine", "bakery"), season=0),
)
"""Ways to shop that the features tell apart, and that neither fade nor have a season."""

SPLIT = Change(CHANGE_DAY, "weekly", "daily-premium", 0.5)
MERGE = Change(CHANGE_DAY, "daily-premium", "weekly")
REMOVE = Change(CHANGE_DAY, "bargain", None)


class Erasing:
    """A shop whose customers are erased: ``gone`` gives the day of each who is."""

    def __init__(self, shop: Simulation, gone: Mapping[str, float]) -> None:
        self._shop = shop
        self._gone = {c: at(shop.config, day) for c, day in gone.items() if day < shop.config.days}

    def __iter__(self) -> Iterator[Record]:
        """Yield the shop's records; an erasure is a profile with an empty value."""
        gone, never = self._gone, self._shop.facts.last + DAY_MS
        kept = (r for r in self._shop if r.at < gone.get(r.customer_id, never))
        erased = sorted((Record("profile", c, at, b"") for c, at in gone.items()), key=_time)
        return merge(kept, erased, key=_time)


def apart(seed: int) -> ShopConfig:
    """Personas apart, nobody changes; long enough that habits show."""
    return ShopConfig(
        seed=seed, customers=2_000, days=480.0, join_days=120.0, personas=APART, drift=0.0
    )


def demo(seed: int) -> ShopConfig:
    """The shop of the demo: one-timers, lapsing customers, refunds, slow drift."""
    return ShopConfig(seed=seed)


def shocked(seed: int) -> ShopConfig:
    """A large demo shop: on one day everybody comes half as often and spends half at a time."""
    shock = Shock(SHOCK_DAY, gap=2.0, basket=0.5)
    return ShopConfig(seed=seed, customers=8_000, days=SHOCK_DAY + 240, join_days=60.0, shock=shock)


def ageing(seed: int) -> Simulation:
    """Personas apart for two years; nothing changes but that everybody's history grows."""
    return Simulation(replace(apart(seed), days=730.0))


def stationary(seed: int) -> Simulation:
    """Customers join evenly; with `turnover` it is the same shop every day from day 365 on."""
    return Simulation(replace(apart(seed), customers=4_000, days=730.0, join_days=730.0))


def turnover(shop: Simulation) -> Erasing:
    """Everybody is erased a year after joining."""
    return Erasing(shop, {customer.id: customer.joined + STAY_DAYS for customer in shop.customers})


def changed(seed: int, change: Change) -> Simulation:
    """Personas apart, and a planned change with a year for it to show."""
    fifth = replace(APART[-1], share=0.2 if change is MERGE else 0.0)
    config = replace(apart(seed), days=change.day + 360, join_days=60.0)
    return Simulation(replace(config, personas=(*APART[:-1], fifth), changes=(change,)))


def leaving(shop: Simulation, change: Change) -> Erasing:
    """Whoever shops no more after a change is erased within a month of it."""
    before, after = (shop.truth(at(shop.config, change.day) + by) for by in (-1, 0))
    gone = [c for c, persona in after.items() if persona is None and before.get(c)]
    step = ERASED_WITHIN_DAYS / len(gone)
    return Erasing(shop, {c: change.day + step * i for i, c in enumerate(gone)})


def at(config: ShopConfig, day: float) -> int:
    """Day of a shop in ms."""
    return config.start + int(day * DAY_MS)


def _time(record: Record) -> int:
    return record.at
