"""What a healthy product leaves behind, for the oracle of the soak to judge."""

from stream_app.adapters.memory_store import MemoryStore
from stream_app.core.messages import Outgoing
from tests.builders import (
    CHANGES,
    DEAD,
    FAR,
    PROFILES,
    PURCHASES,
    ARecord,
    a_chunk,
    a_pipeline,
    a_profile_record,
    a_record,
    a_session,
    a_snapshot,
    day,
)
from tests.soak.history import Terms
from tests.soak.oracle import Verdict, judge
from tests.soak.reading import Evidence, Found, Shelf, named

WALL = day(400)

TERMS = Terms(rates={"USD": 1.0, "EUR": 1.1})

BASKET = [
    {"sku": "a", "category": name, "quantity": 2, "unit_price": price}
    for price, name in enumerate(["tea", "coffee", "milk", "bread", "fish", "rice", "salt"], 1)
]

MORE = [{"category": name, "unit_price": 50} for name in ("wine", "beer", "soap")]


def sent() -> list[ARecord]:
    """Two customers, one of whom lapses and comes back; a duplicate, a late event, two bad."""
    return [
        a_record(0, event="a", channel="web", items=BASKET),
        a_record(1, "bob", event="b", currency="EUR", discount=1.5),
        a_record(2, at=2, event="c", items=MORE, channel="app"),
        a_record(3, at=2, event="c"),
        ARecord(4, b"ann", b"{"),
        a_record(5, "bob", at=100, event="d"),
        a_record(6, at=90, event="e", type="refund"),
        a_record(7, "bob", at=50, event="f"),
        ARecord(8, b"eve", a_record(0).value),
        a_record(9, at=101, event="g"),
    ]


def declared() -> list[ARecord]:
    return [
        a_profile_record(0, age=40, interests=["tea"], gender="female", marketing_consent=True),
        a_profile_record(1, at=-1, age=50),
        ARecord(2, b"ann", b"[]"),
    ]


async def left_behind() -> Evidence:
    """What a healthy product leaves behind, from the pipeline over the store in memory."""
    store = MemoryStore()
    pipeline, session = a_pipeline(store), await a_session(store)
    messages: list[Outgoing] = []
    for topic, records in ((PURCHASES, sent()), (PROFILES, declared())):
        outcome = await pipeline.process(session, a_chunk(*records, topic=topic), FAR)
        messages += [pending.message for pending in outcome.outbox]
    held = store._of(0)
    mark = {f"count:{name}": str(n) for name, n in held.counts.items()}
    mark |= {f"next:{topic}": str(at) for topic, at in held.positions.items()}
    shelf = Shelf(
        mark | {"clock": str(held.clock), "epoch": str(held.epoch)},
        {customer: named(state) for customer, state in held.customers.items()},
        dict(held.due),
        0,
    )
    return Evidence(
        [Found(PURCHASES, 0, r.offset, r.key, r.value, r.headers) for r in sent()],
        [Found(PROFILES, 0, r.offset, r.key, r.value, r.headers) for r in declared()],
        published(CHANGES, messages),
        published(DEAD, messages),
        {0: shelf},
        a_snapshot().model_dump(mode="json"),
    )


def published(topic: str, messages: list[Outgoing]) -> list[Found]:
    ours = [m for m in messages if m.topic == topic]
    return [Found(topic, 0, i, m.key, m.value, m.headers) for i, m in enumerate(ours)]


def verdict(evidence: Evidence, *, rolled_back: bool = False) -> Verdict:
    return judge(evidence, TERMS, WALL, rolled_back=rolled_back)
