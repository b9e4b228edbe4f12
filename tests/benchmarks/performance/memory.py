"""Memory of a worker over many events, which are published while it works them off."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from producers.sources import DAY_MS
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.loads import GAP_DAYS, START_MS, Event, Load, fill, shop
from tests.benchmarks.performance.results import Findings
from tests.benchmarks.performance.stage import watch
from tests.benchmarks.performance.throughput import memory_rows

BLOCK = 100_000


def measure(bench: Bench) -> Findings:
    """Publish block after block; the first one makes the worker warm."""
    blocks = _blocks(bench)
    first = next(blocks)
    with serving(bench, Load("memory", first, len(first))) as ours, ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(_publish, ours, blocks)

        def done() -> int:
            if publishing.done():
                publishing.result()
            return ours.store.applied() - len(first)

        samples = watch(done, bench.events, *ours.system.workers)
        ours.verify(len(first) + bench.events)
    workload = f"steadily, {bench.customers:,} customers, {bench.events:,} events"
    return Findings(memory_rows((workload, bench.broker), [samples]))


def _publish(ours: Runtime, blocks: Iterator[Sequence[Event]]) -> None:
    for events in blocks:
        fill(ours.settings.kafka_broker, ours.settings.topic_purchases, events)


def _blocks(bench: Bench) -> Iterator[Sequence[Event]]:
    """Purchases in time order, a block more than are counted; each made when it is asked for."""
    step, at = GAP_DAYS * DAY_MS / bench.customers, 0
    size = min(BLOCK, bench.events)
    for seed, begin in enumerate(range(-size, bench.events, size)):
        count = min(size, bench.events - begin)
        times = [START_MS + round((at + n) * step) for n in range(count)]
        yield shop("uniform", count, bench.customers, bench.seed + seed, times)
        at += count
