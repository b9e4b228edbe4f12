"""Runs real workers and trainers against a real broker and store."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from producers.simulate import ShopConfig, Simulation
from stream_app.adapters.kafka_topics import partitions_of
from stream_app.adapters.queries import Queries
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import features_of, store_of
from stream_app.config import ClockMode, Settings
from stream_app.demo.run import Demo
from stream_app.demo.system import System
from stream_app.demo.view import Progress

DEADLINE_S = 60.0
STEP_S = 0.05
KAFKA_BROKERS = int(os.environ.get("TEST_KAFKA_BROKERS", "0"))  # 0: the embedded broker
MARCH_2025 = 1_740_787_200_000


def small_settings(broker: str, redis_url: str, name: str, **values: object) -> Settings:
    """Settings of a small system of its own: topics, group and keys carry ``name``."""
    topics = ("purchases", "profiles", "changes", "dead_letters", "vectors", "models")
    return Settings.model_validate(
        {f"topic_{topic}": f"{name}-{topic}" for topic in topics}
        | {
            "kafka_broker": broker,
            "redis_url": redis_url,
            "namespace": name[:32],
            "group": name,
            "idempotence": KAFKA_BROKERS > 0,
            "replication": max(1, KAFKA_BROKERS),
            "session_timeout": 6.0 if KAFKA_BROKERS else 4.0,
            "rebalance_timeout": 2.0,
            "clock": ClockMode.EVENT,
            "warmup_customers": 100,
            "k": 4,
        }
        | values
    )


def a_shop(customers: int = 300, days: float = 200, seed: int = 7) -> Simulation:
    """A simulated history that ends well in the past."""
    config = ShopConfig(seed=seed, customers=customers, days=days, start=MARCH_2025)
    return Simulation(config)


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait for a condition; fail after a minute, saying what never happened."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        answer = condition()
        if await answer if isawaitable(answer) else answer:
            return
        await asyncio.sleep(STEP_S)
    raise AssertionError(f"not within {DEADLINE_S:.0f} s: {what}")


def a_run(settings: Settings, system: System, shop: Simulation, speed: float | None = None) -> Demo:
    """A verified replay of a shop through a running system."""
    return Demo(settings, system, shop, speed, Progress("test", shop.facts.total or 0))


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[tuple[Queries, RedisStore]]:
    """Questions to the system's store."""
    store = store_of(settings)
    try:
        await store.follow()
        yield Queries(store, settings.partitions, features_of(settings), settings.margin), store
    finally:
        await store.close()


async def owners(settings: Settings) -> set[str]:
    """Processes that claimed a partition last, as ``pid-…``."""
    async with asking(settings) as (_, store):
        return {
            owner.split("-", 1)[1]
            for p in range(settings.partitions)
            if "-" in (owner := await store.owner(p))
        }


async def read_topic(settings: Settings, topic: str, count: int) -> list[ConsumerRecord]:
    """Read a topic from its beginning until ``count`` records are there."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_broker, auto_offset_reset="earliest"
    )
    await consumer.start()
    found: list[ConsumerRecord] = []
    try:
        consumer.assign(await partitions_of(consumer, topic))
        deadline = time.monotonic() + DEADLINE_S
        while len(found) < count and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    finally:
        await consumer.stop()
    return found
