"""How long a broker may hold a fetch, as the requests that go out say it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from faust.types import TP

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.adapters.kafka_transport import BUSY_WAIT_MS, ChunkConsumer
from stream_app.bootstrap import faust_app
from stream_app.config import Settings
from stream_app.trainer import GroupPositions
from tests.harness import small_settings

pytestmark = pytest.mark.integration

ASKED_MS = 7


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


@asynccontextmanager
async def reading(settings: Settings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of aiokafka's, at the end of one partition."""
    reader = AIOKafkaConsumer(bootstrap_servers=settings.kafka_broker)
    await reader.start()
    try:
        reader.assign([TP(topic, 0)])
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
    settings: Settings,
) -> None:
    source = Source()
    consumer = cast("ChunkConsumer", faust_app(settings, "wait", source)._new_consumer())
    consumer.flow_active = True
    try:
        async with reading(settings, settings.topic_purchases) as reader:
            assert await waits(reader, consumer, 2) == {ASKED_MS}
            source.busy = True
            assert await waits(reader, consumer, 2) == {BUSY_WAIT_MS}
            source.busy = False
            assert await waits(reader, consumer, 2) == {ASKED_MS}
    finally:
        consumer._thread.thread_loop.close()
