"""The same store in memory: for tests, quality runs and trying things out. Nothing is durable."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stream_app.contracts import ModelSnapshot
from stream_app.core.folds import CustomerState, packed, unpacked
from stream_app.ports import Applied, ApplyStatus, Batch, Claim, Pending


@dataclass(slots=True)
class _Partition:
    """State is kept encoded, so that no caller can change it behind the store's back."""

    epoch: int = 0
    batch: str = ""
    clock: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    customers: dict[str, bytes] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    outbox: dict[str, Pending] = field(default_factory=dict)
    walk: list[str] = field(default_factory=list)


class MemoryStore:
    """PartitionStore and ModelStore in dictionaries. ``now`` returns the present in ms."""

    def __init__(self, now: Callable[[], int] = lambda: 0, seed: int = 0) -> None:
        self._now = now
        self._random = random.Random(seed)
        self._partitions: dict[int, _Partition] = {}
        self._models: dict[int, ModelSnapshot] = {}
        self._names: dict[int, str] = {}

    def _of(self, partition: int) -> _Partition:
        return self._partitions.setdefault(partition, _Partition())

    async def claim(self, partition: int, owner: str) -> Claim:  # noqa: ARG002
        """Take the partition; see `PartitionStore.claim`."""
        held = self._of(partition)
        held.epoch = max(held.epoch + 1, self._now())
        held.batch = ""
        return Claim(held.epoch, dict(held.positions), held.clock, tuple(held.outbox.values()))

    async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
        """Write a batch; see `PartitionStore.apply`."""
        held = self._of(partition)
        status = _check(held, epoch, batch)
        if status is ApplyStatus.OK:
            held.batch, held.clock = batch.id, batch.clock
            if batch.next != batch.base:
                held.positions[batch.topic] = batch.next
            held.counts.update(batch.counts)
            for write in batch.customers:
                _store(held, write.customer_id, write.state, write.due)
            held.outbox.update({pending.id: pending for pending in batch.outbox})
        due = min(held.due.values(), default=float("inf"))
        next_due = None if due == float("inf") else int(due)
        return Applied(status, held.positions.get(batch.topic, -1), next_due)

    async def load(self, partition: int, customers: Sequence[str]) -> list[CustomerState | None]:
        """Read states; see `PartitionStore.load`."""
        stored = [self._of(partition).customers.get(customer) for customer in customers]
        return [None if value is None else unpacked(value) for value in stored]

    async def due(self, partition: int, until: int, limit: int) -> list[str]:
        """List customers due; see `PartitionStore.due`."""
        found = sorted((at, c) for c, at in self._of(partition).due.items() if at <= until)
        return [customer for _, customer in found[:limit]]

    async def sample(self, partition: int, count: int) -> tuple[int, list[str]]:
        """Draw customers; see `PartitionStore.sample`."""
        population = list(self._of(partition).due)
        drawn = self._random.choices(population, k=count) if population else []
        return len(population), drawn

    async def scan(self, partition: int, cursor: int, count: int) -> tuple[int, list[str]]:
        """Walk customers; see `PartitionStore.scan`."""
        held = self._of(partition)
        if cursor == 0:
            held.walk = sorted(held.due)
        following = cursor + count
        return (following if following < len(held.walk) else 0), held.walk[cursor:following]

    async def trim(self, partition: int, ids: Sequence[str]) -> None:
        """Remove published outbox entries; see `PartitionStore.trim`."""
        for entry in ids:
            self._of(partition).outbox.pop(entry, None)

    async def counters(self, partition: int) -> dict[str, int]:
        """Read the counters, the clock and the next offsets of a partition."""
        held = self._of(partition)
        positions = {f"next:{topic}": at for topic, at in held.positions.items()}
        return dict(held.counts) | positions | {"clock": held.clock}

    async def latest_version(self) -> int:
        """Return the newest model version, 0 when there is none."""
        return max(self._models, default=0)

    async def load_model(self, version: int) -> ModelSnapshot | None:
        """Return one snapshot, None if it is not kept."""
        return self._models.get(version)

    async def save_model(
        self, snapshot: ModelSnapshot, names: Mapping[int, str] | None = None
    ) -> bool:
        """Store a snapshot if it is exactly the next one; see `ModelStore.save_model`."""
        if snapshot.version != await self.latest_version() + 1:
            return False
        self._models[snapshot.version] = snapshot
        self._names = self._names if names is None else dict(names)
        return True

    async def names(self) -> dict[int, str]:
        """Read the names that the user gave, by segment id."""
        return dict(self._names)


def _check(held: _Partition, epoch: int, batch: Batch) -> ApplyStatus:
    if held.epoch != epoch:
        return ApplyStatus.FENCED
    if held.batch == batch.id:
        return ApplyStatus.OK_DUP
    if held.batch != batch.after or held.positions.get(batch.topic, batch.base) != batch.base:
        return ApplyStatus.MISMATCH
    return ApplyStatus.OK


def _store(held: _Partition, customer: str, state: CustomerState | None, due: int | None) -> None:
    if state is None:
        held.customers.pop(customer, None)
    else:
        held.customers[customer] = packed(state)
    if state is None or not state.orders:
        held.due.pop(customer, None)
    else:
        held.due[customer] = float("inf") if due is None else due
