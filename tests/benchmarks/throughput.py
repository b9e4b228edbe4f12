"""How many events one worker applies a second: ``make bench ARGS="--events 200000"``.

The events are in the topic before the worker starts; the clock runs from the first applied event
to the last. Broker, store, worker and trainer share the machine.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from datetime import UTC, datetime, timedelta

import psutil

from producers.checkout import CheckoutPublisher
from stream_app.adapters.queries import Queries
from stream_app.bootstrap import features_of, prepare, store_of
from stream_app.config import ClockMode, Settings, load
from stream_app.demo.system import running, services

START = datetime(2025, 1, 1, tzinfo=UTC)
SPAN_DAYS = 120.0
POLL_S = 0.02


def events(count: int, customers: int, seed: int = 1) -> list[tuple[str, bytes]]:
    """Realistic purchases, three items each, spread evenly over customers and 120 days."""
    rng = random.Random(seed)
    made = []
    for n in range(count):
        customer = f"c{rng.randrange(customers)}"
        prices = [round(rng.uniform(1, 30), 2) for _ in range(3)]
        at = START + timedelta(days=SPAN_DAYS * n / count)
        body = {
            "event_id": f"order-{n}",
            "customer_id": customer,
            "occurred_at": at.isoformat(),
            "currency": "USD",
            "total": round(sum(prices), 2),
            "discount": 0.5,
            "channel": "web",
            "items": [
                {
                    "sku": f"sku-{i}-{n % 97}",
                    "category": f"CAT{(n + i) % 12}",
                    "quantity": 1,
                    "unit_price": p,
                }
                for i, p in enumerate(prices)
            ],
        }
        made.append((customer, json.dumps(body).encode()))
    return made


async def measure(settings: Settings, records: list[tuple[str, bytes]]) -> tuple[float, float]:
    """Fill the topic, run one worker over it; return (events/s, worker CPU seconds)."""
    await prepare(settings)
    idempotence = settings.idempotence
    with CheckoutPublisher(settings.kafka_broker, idempotence=idempotence) as publisher:
        for customer, value in records:
            publisher.send(settings.topic_purchases, customer, value)
    store = store_of(settings)
    queries = Queries(store, settings.partitions, features_of(settings), settings.margin)
    try:
        with running(settings, workers=1) as system:
            first = last = 0.0
            while (done := (await queries.overview()).records) < len(records):
                system.check()
                first = first or (time.perf_counter() if done else 0.0)
                await asyncio.sleep(POLL_S)
            last = time.perf_counter()
            cpu = psutil.Process(system.workers[0].pid).cpu_times()
    finally:
        await store.close()
    return len(records) / (last - first), cpu.user + cpu.system


def main() -> None:
    """Run the benchmark and print every run and the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    records = events(options.events, options.customers)
    rates = []
    for run in range(options.runs):
        with services(load(clock=ClockMode.EVENT)) as settings:
            rate, cpu = asyncio.run(measure(settings, records))
        rates.append(rate)
        print(f"run {run + 1}: {rate:,.0f} events/s, worker CPU {cpu:.1f} s")  # noqa: T201
    print(  # noqa: T201
        f"median {statistics.median(rates):,.0f} events/s of {options.runs} runs, "
        f"{options.events:,} events of {options.customers:,} customers"
    )


if __name__ == "__main__":
    main()
