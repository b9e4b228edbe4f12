"""One suite for every store: what is asked of it, on memory and on a real server."""

from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from stream_app.ports import CustomerWrite, Pending
from tests.builders import a_snapshot
from tests.store_writes import Store, a_batch, a_write, write


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
    assert await store.sample(0, 0) == (1, [])


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
