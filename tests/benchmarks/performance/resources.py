"""What it costs: CPU as the shop grows, a second worker, and a replay from a Parquet file."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from producers.sources import Basket
from stream_app.config import Settings, environment
from stream_app.demo.system import Child
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.loads import GAP_DAYS, START_MS, Load, a_load
from tests.benchmarks.performance.population import Maker, put, snapshot_of
from tests.benchmarks.performance.results import Findings, Row
from tests.benchmarks.performance.stage import Program, Sample, Speed, speed, until
from tests.benchmarks.quality.results import Bar

SIZES = (10_000, 100_000, 1_000_000)
SAME_15, SAME_10 = Bar("<=", 1.15), Bar("<=", 1.1)
REPLAY_BAR = Bar(">=", 1.5)
PARTS = 5
SELDOM = 0.01  # customers a second
UNWALKED = {"rescore_per_second": SELDOM, "rescore_seconds": 1 / SELDOM**3}


def measure(bench: Bench) -> Findings:
    """Measure the sizes, two workers, and the replay."""
    sizes = (500, 1_000) if bench.smoke else SIZES
    return Findings(_grown(bench, sizes) + _pair(bench))


def _grown(bench: Bench, sizes: Sequence[int]) -> list[Row]:
    """CPU of a worker in shops of these sizes, held against the last but one."""
    with ExitStack() as stack:
        shops = together(stack, [_shop(bench, size) for size in sizes])
        costs = [[part.cpu_per_million for part in parts] for parts in in_turn(shops)]
    return [
        Row.of(
            "CPU: as the shop grows",
            f"{size:,} stored customers",
            bench.broker,
            "s per million events",
            cost,
            ratios=[_apart(cost, costs[-2])],
            bar=SAME_15,
            note=f"ratio: to {sizes[-2]:,} customers, the greater over the less",
        )
        for size, cost in zip(sizes, costs, strict=True)
    ]


@contextmanager
def _shop(bench: Bench, size: int) -> Iterator[Runtime]:
    """A worker, without trainer, in a shop whose customers are all known before.

    The worker is a new one, with an empty cache. It does not look at everybody first, as a new one
    does at a bounded rate: one that has run for long does not either.
    """
    load = a_load("uniform", bench.events, size, bench.seed)
    with serving(bench, load) as ours:
        ours.system.stop()
        known = {customer for customer, _ in load.events[: load.warm]}
        names = [name for n in range(size) if (name := f"c{n}") not in known]
        maker = Maker(ours.settings, snapshot_of(ours.settings))
        put(ours.settings, maker.crowd(names, START_MS, bench.seed, GAP_DAYS))
        restart(ours, **UNWALKED)
        yield ours


def together(stack: ExitStack, systems: Sequence[AbstractContextManager[Runtime]]) -> list[Runtime]:
    """Start systems at the same time: most of a start is waiting for timers."""
    with ThreadPoolExecutor(len(systems)) as pool:
        return list(pool.map(stack.enter_context, systems))


def in_turn(systems: Sequence[Runtime]) -> list[list[Speed]]:
    """Let each work off its load in parts, each in turn: the pace of the machine changes for all.

    They stand still in between, and have ended when this returns. Speeds by system and part.
    """
    speeds: list[list[Speed]] = [[] for _ in systems]
    for _ in range(PARTS):
        for system, parts in zip(systems, speeds, strict=True):
            count = system.load.timed // PARTS
            parts.append(speed(system.work_off(count), count))
    for system in systems:
        system.system.stop()
    return speeds


def _apart(costs: Sequence[float], others: Sequence[float]) -> float:
    """How many times the one is the other, by the median of the pairs; the greater over the less.

    >>> _apart([1.0, 2.0, 9.0], [2.0, 4.0, 3.0])
    2.0
    """
    ratio = median(one / other for one, other in zip(costs, others, strict=True))
    return max(ratio, 1 / ratio)


def restart(ours: Runtime, **values: object) -> None:
    """Start a new worker, in place of any other, and wait until it owns every partition."""
    settings = Settings.model_validate(ours.settings.model_dump() | values)
    worker = Child("worker", settings)
    ours.system.workers[:] = [worker]
    until(lambda: owned(ours, worker.pid), "the worker owns its partitions", worker)


def owned(ours: Runtime, pid: int) -> bool:
    """Tell whether this process claimed every partition last."""
    keys = ours.store.keys("wm")
    owners: list[bytes | None] = [cast("Any", ours.store.client.hget(k, "owner")) for k in keys]
    return all(owner is not None and f"-{pid}-".encode() in owner for owner in owners)


def _pair(bench: Bench) -> list[Row]:
    """One worker and two, each in turn on the same load; the replay is held against the one."""
    load = a_load("uniform", bench.events, bench.customers, bench.seed)
    with ExitStack() as stack:
        single, double = together(stack, [serving(bench, load), serving(bench, load, workers=2)])
        one, two = in_turn([single, double])
        sent = _replayed(single.settings, load)
    costs = [[part.cpu_per_million for part in parts] for parts in (one, two)]
    what = (f"uniform, {bench.customers:,} customers, {load.timed:,} events", bench.broker)
    cores = f"{os.cpu_count()} cores for everything"
    rates = [part.rate for part in two]
    cost = Row.of(
        "CPU: two workers ÷ one",
        *what,
        "s per million events",
        costs[1],
        ratios=[_apart(costs[1], costs[0])],
        bar=SAME_10,
        note=cores,
    )
    beside = sent / median(part.rate for part in one)
    return [
        cost,
        Row.of("throughput: two workers", *what, "events/s", rates, note=cores),
        Row("replay from Parquet ÷ the worker", *what, sent, "events/s", beside, REPLAY_BAR),
    ]


def _replayed(settings: Settings, load: Load) -> float:
    """Rate at which `segmenter replay` brings a Parquet file into the topic."""
    with tempfile.TemporaryDirectory(prefix="segmenter-bench-") as folder:
        place = Path(folder) / "purchases.parquet"
        events = load.events[load.warm :]
        write_parquet(place, [value for _, value in events])
        words = [sys.executable, "-m", "stream_app", "replay", "--data", str(place)]
        words += ["--position", str(Path(folder) / "position.json")]
        ends = Ends(settings)
        before = ends.total()
        with Program("replay", words, environment(settings)) as program:
            samples: list[Sample] = []

            def sent() -> bool:
                done = ends.total() - before
                samples.append(Sample(time.perf_counter(), done, 0.0, 0))
                return done >= len(events)

            until(sent, "everything is replayed", program)
            program.wait()
        return speed(samples, len(events)).rate


def write_parquet(place: Path, values: Sequence[bytes]) -> None:
    """Write purchases as a shop's file has them: a row for each line of a basket."""
    decode = msgspec.json.Decoder(Basket).decode
    rows = [(basket, line) for basket in map(decode, values) for line in basket.items]
    columns = {
        "customer_id": [basket.customer_id for basket, _ in rows],
        "order_id": [basket.event_id for basket, _ in rows],
        "timestamp": [basket.occurred_at for basket, _ in rows],
        "sku": [line.sku for _, line in rows],
        "category": [line.category for _, line in rows],
        "quantity": [line.quantity for _, line in rows],
        "unit_price": [line.unit_price for _, line in rows],
        "channel": [basket.channel for basket, _ in rows],
    }
    pq.write_table(pa.table(columns), place)


class Ends:
    """How many records the topic of purchases has."""

    def __init__(self, settings: Settings) -> None:
        options = {"bootstrap.servers": settings.kafka_broker, "group.id": "bench-ends"}
        self._consumer = Consumer(options)
        topic, count = settings.topic_purchases, settings.partitions
        self._places = [TopicPartition(topic, p) for p in range(count)]

    def total(self) -> int:
        """Sum of the partitions' end offsets."""
        return sum(self._consumer.get_watermark_offsets(place)[1] for place in self._places)
