"""Records sent to a running system, and what became of them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from stream_app.config import Settings
from stream_app.core.letters import Letter, read_letter
from stream_app.demo.system import System
from tests.builders import ARecord, a_record
from tests.harness import asking, read_topic, until

PRICE = 20.0


@asynccontextmanager
async def a_producer(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_broker, max_request_size=2_000_000, **options
    )
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


async def send(producer: AIOKafkaProducer, topic: str, records: Iterable[ARecord]) -> None:
    for record in records:
        headers = list(record.headers)
        await producer.send(topic, record.value, record.key, headers=headers)
    await producer.flush()


async def counted(settings: Settings) -> dict[str, int]:
    async with asking(settings) as (_, store):
        return await store.counters(0)


async def reached(system: System, topic: str, offset: int) -> dict[str, int]:
    """Wait until the watermark is there; return the partition's counters."""

    async def done() -> bool:
        system.check()
        return (await counted(system.settings)).get(f"next:{topic}") == offset

    await until(done, f"the watermark of {topic} is at {offset}")
    return await counted(system.settings)


async def orders_of(settings: Settings, customers: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Purchases and their sum in micros, by customer."""
    async with asking(settings) as (queries, _):
        states = await queries.states(list(customers))
    return {c: (s.orders, s.spend) for c, s in states.items() if s is not None}


def purchases(customers: Iterable[str], orders: int) -> list[ARecord]:
    return [
        a_record(n, customer, event=f"{customer}-{n}", total=PRICE)
        for n in range(orders)
        for customer in customers
    ]


async def letters(settings: Settings, count: int) -> list[Letter]:
    read = await read_topic(settings, settings.topic_dead_letters, count)
    return [letter for record in read if (letter := read_letter(record))]
