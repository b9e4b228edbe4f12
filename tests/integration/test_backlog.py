"""A worker far behind works off its partitions side by side."""

from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.adapters.redis_store import RedisStore
from stream_app.config import Settings
from stream_app.demo.system import running
from tests.builders import a_record
from tests.harness import asking, small_settings, until
from tests.hostile_system import a_producer

pytestmark = pytest.mark.integration

PARTITIONS = 4
EACH = 2_000


async def fill(producer: AIOKafkaProducer, settings: Settings) -> None:
    """The same number of purchases in each partition, every one of another customer."""
    for n in range(EACH * PARTITIONS):
        record = a_record(n, f"c{n}", event=f"e{n}")
        topic, partition = settings.topic_purchases, n % PARTITIONS
        await producer.send(topic, record.value, record.key, partition=partition)
    await producer.flush()


async def positions(store: RedisStore, topic: str) -> list[int]:
    counters = [await store.counters(partition) for partition in range(PARTITIONS)]
    return [found.get(f"next:{topic}", 0) for found in counters]


async def test_no_partition_starves_behind_the_others(
    broker: str, redis_url: str, unique: Callable[[str], str]
) -> None:
    values = {"partitions": PARTITIONS, "chunk_records": 2}
    settings = small_settings(broker, redis_url, unique("behind"), **values)
    await ensure_topics(settings)
    async with a_producer(settings) as producer:
        await fill(producer, settings)

    with running(settings, workers=1) as system:
        async with asking(settings) as (_, store):
            seen: list[list[int]] = []

            async def done() -> bool:
                system.check()
                seen.append(await positions(store, settings.topic_purchases))
                return max(seen[-1]) == EACH

            await until(done, "one partition is worked off")
            assert min(seen[-1]) > EACH / 2, seen[-1]
