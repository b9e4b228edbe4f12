"""The pipeline without records: lapses, re-scoring, samples."""

from collections.abc import Sequence

import pytest

from stream_app.contracts import Reason
from stream_app.core.folds import CustomerState
from stream_app.core.model import Models
from tests.builders import (
    FAR,
    FEATURES,
    PROFILES,
    PURCHASES,
    ARecord,
    a_profile_record,
    a_record,
    a_snapshot,
    changes_in,
    serving,
)
from tests.owned import Shop


async def test_whoever_is_due_lapses_without_an_event_of_their_own() -> None:
    shop = await Shop.open()
    await shop.take(a_record(0))
    assert await shop.pipeline.lapse(shop.session, FAR) is None
    await shop.take(a_record(1, "bob", at=1000))

    outcome = await shop.pipeline.lapse(shop.session, FAR)

    assert outcome is not None
    assert outcome.moves == {Reason.LAPSE: 2}
    counters = await shop.store.counters(0)
    assert (counters["segment:1"], counters["segment:3"]) == (1, 1)
    assert shop.session.positions == {PURCHASES: 2}
    assert await shop.pipeline.lapse(shop.session, FAR) is None


async def test_a_lapse_has_one_source_whether_a_sweep_or_a_profile_noticed_it() -> None:
    sources = []
    for swept in (True, False):
        shop = await Shop.open()
        await shop.take(a_record(0), a_record(1, "bob", at=1000))
        if swept:
            await shop.pipeline.lapse(shop.session, FAR)
        await shop.take(a_profile_record(0), topic=PROFILES)
        moves = changes_in([p.message for p in (await shop.store.claim(0, "w2")).pending])
        sources.append([m.source for m in moves if m.reason is Reason.LAPSE])

    assert sources[0] == sources[1]


async def test_nobody_is_judged_again_under_the_same_model() -> None:
    shop = await Shop.open(models := serving())
    await shop.take(*[a_record(i, f"c{i}") for i in range(5)])
    cursor, outcome = await shop.pipeline.rescore(shop.session, 0, 10, FAR)
    assert (cursor, outcome) == (0, None)

    models.add(serving(a_snapshot(2, names=("A", "B", "C"))).current)
    _, outcome = await shop.pipeline.rescore(shop.session, 0, 10, FAR)
    assert outcome is not None
    assert all(s and s.model == 2 for s in await shop.store.load(0, [f"c{i}" for i in range(5)]))


async def test_a_walk_over_customers_reaches_everybody_although_some_are_erased() -> None:
    shop = await Shop.open(Models())
    names = [f"c{i}" for i in range(8)]
    await shop.take(*[a_record(i, name) for i, name in enumerate(names)])
    shop.pipeline.models.add(serving().current)
    cursor, _ = await shop.pipeline.rescore(shop.session, 0, 3, FAR)
    await shop.take(ARecord(0, b"c0", None), topic=PROFILES)
    while cursor:
        cursor, _ = await shop.pipeline.rescore(shop.session, cursor, 3, FAR)

    states = await shop.store.load(0, names[1:])
    assert [s.segment if s else None for s in states] == [1] * 7


async def test_a_sample_is_stored_customers_as_they_are_now() -> None:
    shop = await Shop.open()
    assert await shop.pipeline.sample(shop.session, 5, FAR) is None
    await shop.take(a_record(0), a_record(1, "bob", at=10))

    sample = await shop.pipeline.sample(shop.session, 20, FAR)

    assert sample is not None
    assert (sample.population, len(sample.customers)) == (2, 20)
    recencies = {c.customer_id: c.vector[0] for c in sample.customers}
    assert recencies == {"ann": 10.0, "bob": 0.0}
    assert sample.feature_set == FEATURES.version


async def test_whoever_is_judged_without_buying_pushes_nobody_out_of_the_cache() -> None:
    shop = await Shop.open(models := serving(), room=2)
    await shop.take(*[a_record(i, f"c{3 - i}", at=1000 * (i > 1)) for i in range(4)])

    lapsed = await shop.pipeline.lapse(shop.session, FAR)
    assert lapsed is not None
    assert len({message.message.key for message in lapsed.outbox}) == 2
    assert list(shop.session.cache) == ["c1", "c0"]
    models.add(serving(a_snapshot(2, names=("A", "B", "C"))).current)
    await shop.pipeline.rescore(shop.session, 0, 10, FAR)

    stored = await shop.store.load(0, [f"c{i}" for i in range(4)])
    assert [s and s.model for s in stored] == [2, 2, 2, 2]
    assert shop.session.cache == {"c1": stored[1], "c0": stored[0]}


async def test_a_walk_reads_each_customer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await Shop.open(models := serving(), room=0)
    await shop.take(*[a_record(i, f"c{i}") for i in range(4)])
    models.add(serving(a_snapshot(2, names=("A", "B", "C"))).current)
    load, read = shop.store.load, list[str]()

    async def recorded(partition: int, customers: Sequence[str]) -> list[CustomerState | None]:
        read.extend(customers)
        return await load(partition, customers)

    monkeypatch.setattr(shop.store, "load", recorded)
    await shop.pipeline.rescore(shop.session, 0, 10, FAR)

    assert sorted(read) == ["c0", "c1", "c2", "c3"]
