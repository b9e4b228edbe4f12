"""Writes to a store of either kind."""

from dataclasses import replace
from itertools import count
from weakref import WeakKeyDictionary

from stream_app.adapters.memory_store import MemoryStore
from stream_app.adapters.redis_store import RedisStore
from stream_app.core.folds import CustomerState
from stream_app.ports import Applied, ApplyStatus, Batch, Claim, CustomerWrite, Pending

Store = MemoryStore | RedisStore

TOPIC = "purchases"

_batches = count(1)

_accepted: WeakKeyDictionary[Store, dict[tuple[int, int], str]] = WeakKeyDictionary()


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
