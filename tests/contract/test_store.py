"""One suite for every store: what one atomic write promises, on memory and on a real server."""

from dataclasses import replace

from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from stream_app.ports import Applied, ApplyStatus, Batch, Pending
from tests.store_writes import TOPIC, Store, a_batch, a_write, write


async def test_a_new_partition_has_no_position_and_an_epoch(store: Store) -> None:
    claim = await store.claim(0, "w1")

    assert claim.epoch > 0
    assert claim.positions == {}
    assert claim.pending == ()


async def test_every_claim_gets_a_greater_epoch(store: Store) -> None:
    epochs = [(await store.claim(0, "w1")).epoch for _ in range(5)]

    assert epochs == sorted(set(epochs))


async def test_a_batch_is_written_and_found_by_the_next_owner(store: Store) -> None:
    claim = await store.claim(0, "w1")
    pending = Pending(f"{claim.epoch}-1", Outgoing("t", b"k", None, (("h", b"\xff"),)))

    applied = await write(store, claim, a_batch(7, 9, a_write("ann"), outbox=(pending,), clock=5))

    assert applied == Applied(ApplyStatus.OK, 9, None)
    later = await store.claim(0, "w2")
    assert later.positions == {TOPIC: 9}
    assert later.clock == 5
    assert later.pending == (pending,)
    assert await store.load(0, ["ann", "bob"]) == [CustomerState(orders=1), None]


async def test_the_same_batch_again_is_recognised_and_changes_nothing(store: Store) -> None:
    claim = await store.claim(0, "w1")
    batch = a_batch(0, 3, counts={"applied": 3})
    await write(store, claim, batch)

    again = await write(store, claim, batch)

    assert again.status is ApplyStatus.OK_DUP
    assert again.position == 3
    assert (await store.counters(0))["applied"] == 3


async def test_an_earlier_owner_is_fenced_and_changes_nothing(store: Store) -> None:
    old = await store.claim(0, "w1")
    new = await store.claim(0, "w2")

    answer = await write(store, old, a_batch(0, 3, a_write("ann")))

    assert answer.status is ApplyStatus.FENCED
    assert await store.load(0, ["ann"]) == [None]
    assert (await write(store, new, a_batch(0, 3, a_write("ann")))).status is ApplyStatus.OK


async def test_a_gap_or_an_overlap_is_a_mismatch_and_changes_nothing(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 3))

    gap = await write(store, claim, a_batch(4, 6, a_write("ann")))
    overlap = await write(store, claim, a_batch(2, 6, a_write("ann")))

    assert gap == Applied(ApplyStatus.MISMATCH, 3, None)
    assert overlap == Applied(ApplyStatus.MISMATCH, 3, None)
    assert await store.load(0, ["ann"]) == [None]


async def test_a_write_without_records_keeps_the_position(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 3))

    answer = await write(store, claim, a_batch(3, 3, a_write("ann")))

    assert answer == Applied(ApplyStatus.OK, 3, None)


async def test_a_write_before_the_first_record_does_not_fix_the_position(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 0, a_write("ann")))

    assert (await write(store, claim, a_batch(5, 8))).status is ApplyStatus.OK


async def test_a_write_that_skips_the_one_before_it_is_refused(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 3))
    skipping = replace(a_batch(3, 4, a_write("ann")), after="another")

    answer = await store.apply(0, claim.epoch, skipping)

    assert answer.status is ApplyStatus.MISMATCH
    assert await store.load(0, ["ann"]) == [None]


async def test_topics_of_a_partition_have_positions_of_their_own(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 3))

    other = Batch("x", "profiles", 0, 2, 0)

    assert (await write(store, claim, other)).status is ApplyStatus.OK
    assert (await store.claim(0, "w1")).positions == {TOPIC: 3, "profiles": 2}


async def test_partitions_do_not_share_anything(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await store.claim(1, "w2")
    await write(store, claim, a_batch(0, 1, a_write("ann")))

    assert await store.load(1, ["ann"]) == [None]
    assert await store.sample(1, 3) == (0, [])
