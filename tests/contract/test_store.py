"""One suite for every store: what the pipeline relies on, on memory and on a real server."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from weakref import WeakKeyDictionary

import pytest

from stream_app.adapters.memory_store import MemoryStore
from stream_app.adapters.redis_store import RedisStore, connect
from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from stream_app.ports import Applied, ApplyStatus, Batch, Claim, CustomerWrite, Pending
from tests.builders import a_snapshot

Store = MemoryStore | RedisStore
TOPIC = "purchases"
_batches = count(1)
_accepted: WeakKeyDictionary[Store, dict[tuple[int, int], str]] = WeakKeyDictionary()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(now=lambda: 1_000)
        return
    redis = RedisStore(connect(request.getfixturevalue("redis_url")))
    yield redis
    await redis.close()


def a_batch(
    base: int,
    following: int,
    *writes: CustomerWrite,
    outbox: tuple[Pending, ...] = (),
    counts: dict[str, int] | None = None,
    clock: int = 0,
    batch_id: str = "",
) -> Batch:
    batch_id = batch_id or f"b{next(_batches)}"
    return Batch(batch_id, TOPIC, base, following, clock, writes, outbox, counts or {})


def a_write(customer: str, orders: int = 1, due: int | None = None) -> CustomerWrite:
    return CustomerWrite(customer, CustomerState(orders=orders), due)


async def write(store: Store, claim: Claim, batch: Batch, partition: int = 0) -> Applied:
    """Write as a session does: each batch names the one accepted before it in its epoch."""
    accepted = _accepted.setdefault(store, {})
    batch = replace(batch, after=accepted.get((partition, claim.epoch), ""))
    applied = await store.apply(partition, claim.epoch, batch)
    if applied.status is ApplyStatus.OK:
        accepted[partition, claim.epoch] = batch.id
    return applied


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


async def test_due_customers_come_earliest_first_and_the_next_due_is_known(store: Store) -> None:
    claim = await store.claim(0, "w1")
    writes = [
        a_write("late", due=30),
        a_write("soon", due=10),
        a_write("never"),
        a_write("mid", due=20),
    ]

    applied = await write(store, claim, a_batch(0, 1, *writes))

    assert applied.next_due == 10
    assert await store.due(0, 25, 10) == ["soon", "mid"]
    assert await store.due(0, 25, 1) == ["soon"]
    assert await store.due(0, 9, 10) == []


async def test_an_erased_customer_is_gone_everywhere(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 1, a_write("ann", due=5), a_write("bob")))

    await write(store, claim, a_batch(1, 2, CustomerWrite("ann", None, None)))

    assert await store.load(0, ["ann"]) == [None]
    assert await store.due(0, 100, 10) == []
    assert await store.sample(0, 20) == (1, ["bob"] * 20)


async def test_a_customer_without_a_purchase_is_not_in_the_population(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 1, a_write("ann", orders=0)))

    assert await store.load(0, ["ann"]) == [CustomerState()]
    assert await store.sample(0, 2) == (0, [])


async def test_a_scan_sees_every_customer_at_least_once(store: Store) -> None:
    claim = await store.claim(0, "w1")
    everyone = {f"c{i}" for i in range(1000)}
    await write(store, claim, a_batch(0, 1, *[a_write(c) for c in sorted(everyone)]))

    seen: set[str] = set()
    cursor = 0
    for _ in range(2000):
        cursor, some = await store.scan(0, cursor, 64)
        seen.update(some)
        if cursor == 0:
            break

    assert cursor == 0
    assert seen == everyone


async def test_published_messages_leave_the_outbox_and_the_rest_keeps_its_order(
    store: Store,
) -> None:
    claim = await store.claim(0, "w1")
    entries = tuple(
        Pending(f"{claim.epoch}-{n}", Outgoing("t", b"%d" % n, b"v")) for n in range(1, 13)
    )
    await write(store, claim, a_batch(0, 1, outbox=entries))

    await store.trim(0, [entries[0].id, entries[1].id])
    await store.trim(0, [])

    assert (await store.claim(0, "w2")).pending == entries[2:]


async def test_counters_add_up(store: Store) -> None:
    claim = await store.claim(0, "w1")
    await write(store, claim, a_batch(0, 3, counts={"applied": 2, "dead": 1}))
    await write(store, claim, a_batch(3, 5, counts={"applied": 2}, clock=77))

    counters = await store.counters(0)

    assert counters["applied"] == 4
    assert counters["dead"] == 1
    assert counters["next:purchases"] == 5
    assert counters["clock"] == 77


async def test_models_are_numbered_without_holes_and_never_overwritten(store: Store) -> None:
    assert await store.latest_version() == 0
    assert await store.save_model(a_snapshot(1))
    assert not await store.save_model(a_snapshot(1, names=("X", "Y", "Z")))
    assert not await store.save_model(a_snapshot(3))
    assert await store.save_model(a_snapshot(2))

    assert await store.latest_version() == 2
    assert await store.load_model(1) == a_snapshot(1)
    assert await store.load_model(9) is None
