"""How long a broker may hold a fetch, as the requests that go out say it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.types import TP

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.adapters.kafka_transport import BEHIND_WAIT_MS, BUSY_WAIT_MS, ChunkConsumer
from stream_app.bootstrap import faust_app
from stream_app.config import Settings
from stream_app.trainer import GroupPositions
from tests.harness import small_settings

pytestmark = pytest.mark.integration

ASKED_MS = 7
RECORDS, RECORD_BYTES = 20, 1_000


class Source(GroupPositions):
    """One that can be told whether it is busy."""

    busy = False

    def is_busy(self) -> bool:
        return self.busy


@pytest.fixture
async def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    values = {"partitions": 1, "fetch_wait": ASKED_MS / 1000}
    found = small_settings(broker, redis_url, unique("wait"), **values)
    await ensure_topics(found)
    return found


@pytest.fixture
async def consumer(settings: Settings) -> AsyncIterator[ChunkConsumer]:
    """The framework's consumer; its source is not busy."""
    consumer = cast("ChunkConsumer", faust_app(settings, "wait", Source())._new_consumer())
    consumer.flow_active = True
    yield consumer
    consumer._thread.thread_loop.close()


@asynccontextmanager
async def reading(settings: Settings, **values: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of aiokafka's, at the end of one partition."""
    reader = AIOKafkaConsumer(bootstrap_servers=settings.kafka_broker, **values)
    await reader.start()
    try:
        reader.assign([TP(settings.topic_purchases, 0)])
        yield reader
    finally:
        await reader.stop()


async def waits(reader: AIOKafkaConsumer, consumer: ChunkConsumer, count: int) -> set[int]:
    """The waits of the fetches that are sent while the framework asks so often for records."""
    send, found = reader._client.send, set[int]()

    async def seen(node: int, request: Any, **options: Any) -> Any:
        found.add(getattr(request, "_max_wait_ms", 0))
        return await send(node, request, **options)

    thread = cast("Any", consumer._thread)
    await thread._fetch_records(reader, set(), timeout=0.2)
    reader._client.send = seen
    for _ in range(count):
        await thread._fetch_records(reader, set(), timeout=0.2)
    reader._client.send = send
    return found - {0}


async def test_a_broker_holds_fetches_longer_while_there_is_work_enough(
    settings: Settings, consumer: ChunkConsumer
) -> None:
    source = cast("Source", consumer._source)
    async with reading(settings) as reader:
        assert await waits(reader, consumer, 2) == {ASKED_MS}
        source.busy = True
        assert await waits(reader, consumer, 2) == {BUSY_WAIT_MS}
        source.busy = False
        assert await waits(reader, consumer, 2) == {ASKED_MS}


async def test_a_broker_has_time_to_look_while_records_wait_there(
    settings: Settings, consumer: ChunkConsumer
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_broker) as producer:
        for _ in range(RECORDS):  # a batch each
            await producer.send_and_wait(settings.topic_purchases, b"x" * RECORD_BYTES)

    few = {"max_partition_fetch_bytes": RECORD_BYTES, "fetch_max_bytes": RECORD_BYTES}
    async with reading(settings, **few) as reader:
        reader.seek(TP(settings.topic_purchases, 0), 0)
        assert await waits(reader, consumer, RECORDS // 2) == {BEHIND_WAIT_MS}
        await waits(reader, consumer, RECORDS)
        assert await waits(reader, consumer, 2) == {ASKED_MS}
