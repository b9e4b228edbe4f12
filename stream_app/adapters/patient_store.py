"""A store that waits out outages: every call is repeated with backoff until it is answered.

Nothing is skipped and nothing acknowledged meanwhile; ``segmenter_store_ready`` is 0.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from stream_app.adapters.metrics import Metrics
from stream_app.core.folds import CustomerState
from stream_app.ports import Applied, Batch, Claim, PartitionStore, StoreUnavailableError

logger = logging.getLogger(__name__)
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0

Answer = TypeVar("Answer")


class PatientStore:
    """A PartitionStore around another one."""

    def __init__(self, store: PartitionStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._waiting: dict[object, float] = {}

    def out(self, now: float) -> float:
        """Seconds for which a call has waited for an answer; 0 if none does (monotonic)."""
        return now - min(list(self._waiting.values()), default=now)

    async def patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat any call to the store until it is answered."""
        this, wait = object(), FIRST_WAIT_S
        try:
            while True:
                try:
                    return await call()
                except StoreUnavailableError as error:
                    self._waiting.setdefault(this, time.monotonic())
                    self._metrics.store_ready.set(0)
                    logger.warning("the store does not answer, next try in %.2f s: %s", wait, error)
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT_S, 2 * wait)
        finally:
            self._waiting.pop(this, None)
            self._metrics.store_ready.set(not self._waiting)

    async def answers(self) -> None:
        """Return when the store answers a question that costs it nothing."""
        await self.patiently(lambda: self._store.due(0, 0, 1))

    async def claim(self, partition: int, owner: str) -> Claim:
        """See `PartitionStore.claim`."""
        return await self.patiently(lambda: self._store.claim(partition, owner))

    async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
        """See `PartitionStore.apply`."""
        return await self.patiently(lambda: self._store.apply(partition, epoch, batch))

    async def load(self, partition: int, customers: Sequence[str]) -> list[CustomerState | None]:
        """See `PartitionStore.load`."""
        return await self.patiently(lambda: self._store.load(partition, customers))

    async def due(self, partition: int, until: int, limit: int) -> list[str]:
        """See `PartitionStore.due`."""
        return await self.patiently(lambda: self._store.due(partition, until, limit))

    async def sample(self, partition: int, count: int) -> tuple[int, list[str]]:
        """See `PartitionStore.sample`."""
        return await self.patiently(lambda: self._store.sample(partition, count))

    async def scan(self, partition: int, cursor: int, count: int) -> tuple[int, list[str]]:
        """See `PartitionStore.scan`."""
        return await self.patiently(lambda: self._store.scan(partition, cursor, count))

    async def trim(self, partition: int, ids: Sequence[str]) -> None:
        """See `PartitionStore.trim`."""
        await self.patiently(lambda: self._store.trim(partition, ids))

    async def counters(self, partition: int) -> dict[str, int]:
        """See `PartitionStore.counters`."""
        return await self.patiently(lambda: self._store.counters(partition))
