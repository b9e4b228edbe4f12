"""A store that waits out outages: every call is repeated with backoff until it is answered.

Nothing is skipped and nothing acknowledged meanwhile; ``segmenter_store_ready`` is 0.
"""

import asyncio
import logging
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

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        wait = FIRST_WAIT_S
        while True:
            try:
                answer = await call()
            except StoreUnavailableError as error:
                self._metrics.store_ready.set(0)
                logger.warning("the store does not answer, next try in %.2f s: %s", wait, error)
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT_S, 2 * wait)
            else:
                self._metrics.store_ready.set(1)
                return answer

    async def claim(self, partition: int, owner: str) -> Claim:
        """See `PartitionStore.claim`."""
        return await self._patiently(lambda: self._store.claim(partition, owner))

    async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
        """See `PartitionStore.apply`."""
        return await self._patiently(lambda: self._store.apply(partition, epoch, batch))

    async def load(self, partition: int, customers: Sequence[str]) -> list[CustomerState | None]:
        """See `PartitionStore.load`."""
        return await self._patiently(lambda: self._store.load(partition, customers))

    async def due(self, partition: int, until: int, limit: int) -> list[str]:
        """See `PartitionStore.due`."""
        return await self._patiently(lambda: self._store.due(partition, until, limit))

    async def sample(self, partition: int, count: int) -> tuple[int, list[str]]:
        """See `PartitionStore.sample`."""
        return await self._patiently(lambda: self._store.sample(partition, count))

    async def scan(self, partition: int, cursor: int, count: int) -> tuple[int, list[str]]:
        """See `PartitionStore.scan`."""
        return await self._patiently(lambda: self._store.scan(partition, cursor, count))

    async def trim(self, partition: int, ids: Sequence[str]) -> None:
        """See `PartitionStore.trim`."""
        await self._patiently(lambda: self._store.trim(partition, ids))

    async def counters(self, partition: int) -> dict[str, int]:
        """See `PartitionStore.counters`."""
        return await self._patiently(lambda: self._store.counters(partition))
