"""Where the logs end, asked of Kafka over a connection of its own.

A consumer that hangs does not notice that records wait for it; this one does not depend on it.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.types import TP

logger = logging.getLogger(__name__)
ANSWER_S = 5.0


class LogEnds:
    """Log ends of some partitions as of the last answer; ``out`` while Kafka does not answer."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._consumer: AIOKafkaConsumer | None = None
        self._failing: float | None = None
        self.known: dict[TP, int] = {}

    def out(self, now: float) -> float:
        """Seconds for which Kafka has not answered, 0 while it does (``now``: monotonic)."""
        return 0.0 if self._failing is None else max(0.0, now - self._failing)

    async def look(self, partitions: Iterable[TP]) -> None:
        """Ask once."""
        asked = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                consumer = await self._started()
                found = await consumer.end_offsets(list(partitions))
        except (KafkaError, OSError, TimeoutError) as error:
            logger.info("Kafka did not tell where its logs end: %r", error)
            self._failing = asked if self._failing is None else self._failing
        else:
            self.known = {TP(tp.topic, tp.partition): end for tp, end in found.items()}
            self._failing = None

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._broker,
                isolation_level="read_committed",  # an open transaction is nothing to wait for
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer:
            await consumer.stop()
