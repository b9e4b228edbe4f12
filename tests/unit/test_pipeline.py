"""The pipeline: one chunk is one write, whoever else writes meanwhile."""

from dataclasses import replace

import pytest

from stream_app.adapters.memory_store import MemoryStore
from stream_app.contracts import Reason, RejectReason
from stream_app.core.folds import CustomerState
from stream_app.core.messages import dead_letter_of
from stream_app.ports import Applied, ApplyStatus, Batch
from tests.builders import (
    DEAD,
    FAR,
    FEATURES,
    PROFILES,
    PURCHASES,
    ARecord,
    a_chunk,
    a_pipeline,
    a_record,
    a_session,
    changes_in,
    day,
    serving,
)
from tests.owned import Shop


async def test_a_chunk_is_one_write_with_states_positions_and_messages() -> None:
    shop = await Shop.open()

    outcome = await shop.take(a_record(0), a_record(1, "bob"), a_record(2, at=1))

    assert outcome.ok
    ann = await shop.stored()
    assert ann is not None
    assert (ann.orders, ann.segment_name) == (2, "Active")
    assert shop.session.positions == {PURCHASES: 3}
    assert shop.session.clock == day(1)
    claim = await shop.store.claim(0, "w2")
    assert claim.pending == tuple(outcome.outbox)
    assert [c.customer_id for c in changes_in([p.message for p in claim.pending])] == ["ann", "bob"]


async def test_bad_records_are_dead_letters_and_the_others_are_applied() -> None:
    shop = await Shop.open()
    bad = ARecord(1, b"ann", b"{", headers=(("trace", b"\xff"),))

    outcome = await shop.take(a_record(0), bad, a_record(2))

    assert (outcome.counts["applied"], outcome.counts["dead"]) == (2, 1)
    (letter,) = [p.message for p in outcome.outbox if p.message.topic == DEAD]
    assert (letter.key, letter.value, letter.headers[0]) == (b"ann", b"{", ("trace", b"\xff"))
    facts = dead_letter_of(letter.headers)
    assert (facts.topic, facts.partition, facts.offset) == (PURCHASES, 0, 1)


async def test_the_same_write_again_changes_nothing() -> None:
    written: list[tuple[int, Batch]] = []

    class Recorder(MemoryStore):
        async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
            written.append((epoch, batch))
            return await super().apply(partition, epoch, batch)

    store = Recorder()
    session = await a_session(store)
    await a_pipeline(store).process(session, a_chunk(a_record(0), a_record(1)), FAR)
    before = (await store.counters(0), await store.load(0, ["ann"]))

    again = await store.apply(0, *written[0])

    assert again.status is ApplyStatus.OK_DUP
    assert (await store.counters(0), await store.load(0, ["ann"])) == before
    assert len((await store.claim(0, "w2")).pending) == 1


async def test_who_lost_the_partition_writes_nothing_and_forgets_what_it_knew() -> None:
    shop = await Shop.open()
    await shop.take(a_record(0))
    await shop.store.claim(0, "somebody else")

    outcome = await shop.take(a_record(1))

    assert outcome.applied.status is ApplyStatus.FENCED
    assert shop.session.cache == {}
    assert shop.session.positions == {PURCHASES: 1}
    assert (state := await shop.stored()) is not None
    assert state.orders == 1


async def test_a_chunk_at_the_wrong_place_writes_nothing_and_clears_the_cache() -> None:
    shop = await Shop.open()
    await shop.take(a_record(0))

    outcome = await shop.take(a_record(5))

    assert outcome.applied.status is ApplyStatus.MISMATCH
    assert outcome.applied.position == 1
    assert shop.session.cache == {}
    assert (await shop.take(a_record(1))).ok


def a_touchy_feature(state: CustomerState) -> float:
    if state.spend == 13_000_000:
        raise ZeroDivisionError("thirteen")
    return 0.0


TOUCHY = replace(
    FEATURES,
    features=(*FEATURES.features[:-1], replace(FEATURES.features[-1], read=a_touchy_feature)),
)


async def test_a_record_the_core_cannot_handle_is_a_dead_letter_and_the_rest_is_applied() -> None:
    shop = await Shop.open(serving(features=TOUCHY), TOUCHY)
    await shop.take(a_record(0, total=6))

    poison = a_record(2, total=7)
    outcome = await shop.take(a_record(1, "bob"), poison, a_record(3, total=8), a_record(4, "cat"))

    assert (outcome.counts["applied"], outcome.counts["dead"]) == (3, 1)
    assert (state := await shop.stored()) is not None
    assert (state.orders, state.spend) == (2, 14_000_000)
    (letter,) = [p.message for p in outcome.outbox if p.message.topic == DEAD]
    facts = dead_letter_of(letter.headers)
    assert facts.reason is RejectReason.HANDLER_ERROR
    assert facts.detail == "ZeroDivisionError: thirteen"
    assert (letter.value, facts.offset) == (poison.value, 2)


async def test_an_erased_customer_is_gone_and_begins_anew() -> None:
    shop = await Shop.open()
    await shop.take(a_record(0), a_record(1, at=1))

    outcome = await shop.take(ARecord(0, b"ann", None), topic=PROFILES)

    assert await shop.stored() is None
    assert await shop.store.due(0, FAR, 9) == []
    assert [(p.message.key, p.message.value) for p in outcome.outbox] == [(b"ann", None)]
    (move,) = changes_in([p.message for p in (await shop.take(a_record(2, at=2))).outbox])
    assert (move.sequence, move.previous, move.reason) == (1, None, Reason.INITIAL)
    assert move.facts.orders == 1


@pytest.mark.parametrize("most", [0, 1, 3])
async def test_the_cache_is_bounded_and_its_size_changes_no_result(most: int) -> None:
    store = MemoryStore()
    pipeline = a_pipeline(store)
    session = await a_session(store, room=most)
    for i in range(12):
        await pipeline.process(session, a_chunk(a_record(i, f"c{i % 4}", at=i)), FAR)

    assert len(session.cache) == most
    orders = [s.orders if s else 0 for s in await store.load(0, [f"c{i}" for i in range(4)])]
    assert orders == [3, 3, 3, 3]
    assert await store.load(0, list(session.cache)) == list(session.cache.values())
