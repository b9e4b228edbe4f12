"""Read-only questions to the store: sizes, counters, one customer."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from aiokafka.partitioner import murmur2

from stream_app.adapters.redis_store import RedisStore
from stream_app.contracts import ModelSnapshot, NextChange
from stream_app.core.features import FeatureSet
from stream_app.core.folds import CustomerState
from stream_app.core.model import SegmentModel
from stream_app.core.snapshots import SnapshotError
from stream_app.core.transitions import next_change

if TYPE_CHECKING:
    from stream_app.core.rehearsal import Population

READ = 1000


def partition_of(customer_id: str, partitions: int) -> int:
    """Partition of a key, as Kafka's default partitioner computes it (murmur2).

    >>> partition_of("1342", 4)
    1
    """
    return int(murmur2(customer_id.encode()) & 0x7FFFFFFF) % partitions


@dataclass(frozen=True, slots=True)
class Overview:
    """Totals over all partitions. ``sizes``: customers per segment id; ``clock`` in ms."""

    counts: dict[str, int]
    sizes: dict[int, int]
    clock: int

    @property
    def records(self) -> int:
        """Records that have had their effect, whatever it was."""
        return sum(self.counts.get(name, 0) for name in ("applied", "duplicate", "dead"))


@dataclass(frozen=True, slots=True)
class Card:
    """One customer: the stored state, where silence will take them, and the model that says so."""

    customer_id: str
    partition: int
    state: CustomerState
    vector: dict[str, float]
    model: ModelSnapshot | None
    next_change: NextChange | None


class Queries:
    """Questions of the command line, the demo and the dashboard."""

    def __init__(
        self, store: RedisStore, partitions: int, features: FeatureSet, margin: float
    ) -> None:
        self._store = store
        self._partitions = partitions
        self._features = features
        self._margin = margin

    async def overview(self) -> Overview:
        """Sum the counters of all partitions."""
        reads = (self._store.counters(p) for p in range(self._partitions))
        parts = await asyncio.gather(*reads)
        total: Counter[str] = Counter()
        for part in parts:
            total.update(
                {k: v for k, v in part.items() if k != "clock" and not k.startswith("next:")}
            )
        sizes = {int(k[8:]): v for k, v in total.items() if k.startswith("segment:") and v}
        counts = {k: v for k, v in total.items() if not k.startswith("segment:")}
        return Overview(counts, sizes, max(part["clock"] for part in parts))

    async def model(self) -> ModelSnapshot | None:
        """Return the newest snapshot."""
        latest = await self._store.latest_version()
        return await self._store.load_model(latest) if latest else None

    async def versions(self, last: int) -> list[ModelSnapshot]:
        """Read the newest ``last`` snapshots that are kept and can be used, newest first."""
        found: list[ModelSnapshot] = []
        number = await self._store.latest_version()
        while number and len(found) < last:
            with suppress(SnapshotError):
                snapshot = await self._store.load_model(number)
                found += [snapshot] if snapshot else []
            number -= 1
        return found

    async def draw(
        self, most: int, seed: int, now: int | None, progress: Callable[[int, int], None]
    ) -> "Population":
        """Draw up to ``most`` stored customers uniformly and evaluate them at ``now`` (ms).

        None: each partition's event time. ``progress`` is told how many are read, and of how many.
        """
        # The rest of the command line need not wait for scikit-learn.
        from stream_app.core.rehearsal import Population  # noqa: PLC0415

        everyone = [(p, c) for p in range(self._partitions) for c in await self._everyone(p)]
        drawn = Random(seed).sample(everyone, min(most, len(everyone)))
        clocks = [(await self._store.counters(p))["clock"] for p in range(self._partitions)]
        found: list[tuple[tuple[float, ...], int]] = []
        for partition, clock in enumerate(clocks):
            group = [customer for home, customer in drawn if home == partition]
            for start in range(0, len(group), READ):
                states = await self._store.load(partition, group[start : start + READ])
                known = [state for state in states if state and state.orders]
                at = clock if now is None else now
                found += [(self._features.vector(state, at), state.segment) for state in known]
                progress(len(found), len(drawn))
        vectors = np.array([v for v, _ in found]).reshape(len(found), len(self._features.names))
        segments = np.array([segment for _, segment in found], dtype=np.int64)
        return Population(vectors, segments, len(everyone), max(clocks) if now is None else now)

    async def _everyone(self, partition: int) -> list[str]:
        """Walk all customers of a partition; sorted, so that a seed draws the same ones again."""
        seen: set[str] = set()
        cursor = 0
        while True:
            cursor, some = await self._store.scan(partition, cursor, READ)
            seen.update(some)
            if not cursor:
                return sorted(seen)

    async def states(self, customers: Iterable[str]) -> dict[str, CustomerState | None]:
        """Read many customers."""
        split: dict[int, list[str]] = {}
        for customer in customers:
            split.setdefault(partition_of(customer, self._partitions), []).append(customer)
        found: dict[str, CustomerState | None] = {}
        for partition, group in split.items():
            for start in range(0, len(group), READ):
                part = group[start : start + READ]
                found.update(zip(part, await self._store.load(partition, part), strict=True))
        return found

    async def card(self, customer_id: str, now: int | None = None) -> Card | None:
        """Read one customer at ``now`` (ms; None: the partition's event time), None if unknown."""
        partition = partition_of(customer_id, self._partitions)
        (state,) = await self._store.load(partition, [customer_id])
        if state is None:
            return None
        model = await self.model()
        at = now if now is not None else (await self._store.counters(partition))["clock"]
        vector = self._features.vector(state, at) if state.orders else ()
        following = None
        if model and vector and model.feature_set == self._features.version:
            compiled = SegmentModel(model, self._features, self._margin)
            following = next_change(state, compiled, vector)
        named = dict(zip(self._features.names, vector, strict=False))
        return Card(customer_id, partition, state, named, model, following)

    async def buyers(self) -> int:
        """Count the customers who ever bought."""
        counts = [await self._store.sample(p, 0) for p in range(self._partitions)]
        return sum(population for population, _ in counts)

    async def outbox_length(self) -> int:
        """Messages that are stored but not known to be published yet."""
        return sum([await self._store.outbox_length(p) for p in range(self._partitions)])

    async def is_anyone_due(self) -> bool:
        """Tell whether a partition still has lapses to judge, by its own event clock."""
        for partition in range(self._partitions):
            clock = (await self._store.counters(partition))["clock"]
            if await self._store.due(partition, clock, 1):
                return True
        return False
