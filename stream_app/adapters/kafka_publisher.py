"""Publishing to Kafka: in order per key, acknowledged by all replicas, and again if need be."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from stream_app.config import Settings
from stream_app.core.messages import Outgoing

logger = logging.getLogger(__name__)
RETRY_SECONDS = 0.5
BATCH_BYTES = 256 * 1024
MAX_REQUEST = 2 * 1024 * 1024


class KafkaPublisher:
    """Sends messages until the broker has them; per key, the caller's order is kept.

    Batches are built here: a message handed over singly costs aiokafka ten times as much.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return when every message is acknowledged; on an outage send all of them again."""
        while True:
            try:
                await self._send(messages)
            except (KafkaError, OSError) as error:
                logger.warning("publishing %d messages failed: %r", len(messages), error)
                await self._recover(error)
            else:
                return

    async def _send(self, messages: Sequence[Outgoing]) -> None:
        producer = await self._started()
        topics = {message.topic for message in messages}
        known = {t: tuple(sorted(await producer.partitions_for(t))) for t in topics}
        parts: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for message in messages:
            partitions = known[message.topic]
            partition = _partition(message.key, partitions)
            parts[message.topic, partition].append(message)
        waiting = [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), part in parts.items()
            for batch in _batches(producer, part)
        ]
        await asyncio.gather(*waiting)

    async def _started(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._settings.kafka_broker,
                    enable_idempotence=self._settings.idempotence,
                    acks="all",
                    linger_ms=0,
                    max_batch_size=BATCH_BYTES,
                    max_request_size=MAX_REQUEST,
                )
                await producer.start()
                self._producer = producer
            return self._producer

    async def _recover(self, error: Exception) -> None:
        """Wait, and replace a producer whose sequence numbers the broker no longer accepts."""
        if isinstance(error, OutOfOrderSequenceNumber):
            await self.close()
        await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Flush and disconnect."""
        async with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()


_partitioner = DefaultPartitioner()


@lru_cache(65_536)
def _keyed(key: bytes, partitions: tuple[int, ...]) -> int:
    """Remember where keys go: the hash is written in Python."""
    return int(_partitioner(key, partitions, partitions))


def _partition(key: bytes | None, partitions: tuple[int, ...]) -> int:
    """Choose as any Kafka client does: by the key's hash, and at random without a key."""
    if key is None:
        return int(_partitioner(None, partitions, partitions))
    return _keyed(key, partitions)


def _batches(producer: AIOKafkaProducer, messages: Sequence[Outgoing]) -> Iterator[BatchBuilder]:
    """Fill as many batches as it takes."""
    batch = producer.create_batch()
    for message in messages:
        if not _append(batch, message):
            yield batch
            batch = producer.create_batch()
            _append(batch, message)
    yield batch


def _append(batch: BatchBuilder, message: Outgoing) -> bool:
    """Tell whether there was room; in an empty batch there always is."""
    key, value, headers = message.key, _value(message), list(message.headers)
    return batch.append(timestamp=None, key=key, value=value, headers=headers) is not None


def _value(message: Outgoing) -> bytes | None:
    """Fill a record without key and value, which aiokafka refuses: a dead letter may be one."""
    return b"" if message.key is None and message.value is None else message.value
