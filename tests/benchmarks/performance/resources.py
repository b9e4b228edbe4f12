"""What it costs: CPU as the shop grows, and a second worker."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from statistics import median
from typing import Any, cast

from stream_app.config import Settings
from stream_app.contracts import ModelSnapshot
from stream_app.demo.system import Child
from tests.benchmarks.performance.contenders import Bench, Runtime, serving, stocked
from tests.benchmarks.performance.loads import GAP_DAYS, START_MS, Load, a_load, shop
from tests.benchmarks.performance.population import Maker, put, save, snapshot_of
from tests.benchmarks.performance.results import Findings, Row
from tests.benchmarks.performance.stage import Speed, speed, until
from tests.benchmarks.quality.results import Bar

SIZES = (10_000, 100_000, 1_000_000)
SAME_15, SAME_10 = Bar("<=", 1.15), Bar("<=", 1.1)
PARTS = 12  # pairs of them differ by a fifth and more, whatever is compared
SELDOM = 0.01  # customers a second
UNWALKED = {"rescore_per_second": SELDOM, "rescore_seconds": 1 / SELDOM**3}


def measure(bench: Bench) -> Findings:
    """Measure the sizes and two workers, all under one model."""
    with serving(bench, a_load("uniform", bench.events, bench.customers, bench.seed)) as ours:
        snapshot = snapshot_of(ours.settings).model_copy(update={"version": 1})
    return Findings(_grown(bench, snapshot) + _pair(bench, snapshot))


def _grown(bench: Bench, snapshot: ModelSnapshot) -> list[Row]:
    """CPU of a worker in shops of these sizes, held against the last but one."""
    with ExitStack() as stack:
        shops = together(stack, [_shop(bench, size, snapshot) for size in SIZES])
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
            note=f"ratio: to {SIZES[-2]:,} customers, the greater over the less",
        )
        for size, cost in zip(SIZES, costs, strict=True)
    ]


@contextmanager
def _shop(
    bench: Bench, size: int, snapshot: ModelSnapshot, workers: int = 1, *, known: bool = True
) -> Iterator[Runtime]:
    """Workers in a shop that keeps its model, and whose customers are all ``known`` before.

    A model of its own would move others in each shop, and a move costs as much as a purchase. The
    workers are new ones, with empty caches. They do not look at everybody first, as new ones do at
    a bounded rate: those that have run for long do not either.
    """
    load = Load("uniform", shop("uniform", 2 * bench.events, size, bench.seed), 0)
    names = [f"c{n}" for n in range(size)] if known else []

    def stock(settings: Settings) -> None:
        save(settings, snapshot)
        put(settings, Maker(settings, snapshot).crowd(names, START_MS, bench.seed, GAP_DAYS))

    with stocked(bench, load, stock, workers, **UNWALKED) as ours:
        until(lambda: owned(ours), "workers own all partitions", *ours.system.workers)
        yield ours


def together(stack: ExitStack, systems: Sequence[AbstractContextManager[Runtime]]) -> list[Runtime]:
    """Start systems at the same time: most of a start is waiting for timers."""
    with ThreadPoolExecutor(len(systems)) as pool:
        return list(pool.map(stack.enter_context, systems))


def in_turn(systems: Sequence[Runtime]) -> list[list[Speed]]:
    """Let each work off its load in parts, each in turn: the pace of the machine changes for all.

    Who was last begins the next round. They stand still in between, and have ended when this
    returns. Speeds by system and part.
    """
    speeds: list[list[Speed]] = [[] for _ in systems]
    turns = list(zip(systems, speeds, strict=True))
    for _ in range(PARTS):
        for system, mine in turns:
            count = system.load.timed // PARTS
            mine.append(speed(system.work_off(count), count))
        turns.reverse()
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
    until(lambda: owned(ours), "the worker owns its partitions", worker)


def owned(ours: Runtime) -> bool:
    """Tell whether these workers claimed all partitions last, and each at least one."""
    keys = ours.store.keys("wm")
    owners: list[bytes | None] = [cast("Any", ours.store.client.hget(k, "owner")) for k in keys]
    pids = [f"-{worker.pid}-".encode() for worker in ours.system.workers]
    mine = [pid for owner in owners for pid in pids if owner and pid in owner]
    return len(mine) == len(owners) and set(mine) == set(pids)


def _pair(bench: Bench, snapshot: ModelSnapshot) -> list[Row]:
    """One worker and two, each in turn on the same load of a shop that opens: many moves."""
    with ExitStack() as stack:
        pair = [_shop(bench, bench.customers, snapshot, n, known=False) for n in (1, 2)]
        one, two = in_turn(together(stack, pair))
    costs = [[part.cpu_per_million for part in parts] for parts in (one, two)]
    what = (f"uniform, {bench.customers:,} customers, {2 * bench.events:,} events", bench.broker)
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
    return [
        cost,
        Row.of("throughput: two workers", *what, "events/s", rates, note=cores),
    ]
