"""Quix Streams and Bytewax on the same backlog as our worker: ``make bench-peers``."""

import argparse
import time
from pathlib import Path

from rich.console import Console

from tests.benchmarks.performance.__main__ import base_settings, shown_table
from tests.benchmarks.performance.contenders import Bench, Runtime, foreign, serving
from tests.benchmarks.performance.loads import a_load
from tests.benchmarks.performance.report import write
from tests.benchmarks.performance.results import EMBEDDED, KAFKA, Findings, Row
from tests.benchmarks.performance.stage import Speed, speed
from tests.benchmarks.quality.results import Bar

QUIX, BYTEWAX = "Quix Streams", "Bytewax"
TWICE = Bar(">=", 2)
EACH = 20_000
OURS = "this worker, beside the peers"


def main() -> None:
    """Take turns, show the rates and write them."""
    options, console, began = _options(), Console(width=150), time.perf_counter()
    with base_settings(options.broker) as base:
        bench = Bench(base, options.events, options.customers, options.repetitions, options.seed)
        found = Findings(measure(bench, options.python))
    console.print(shown_table(found.rows))
    if options.out:
        write(found, options.out)
    console.print(f"{time.perf_counter() - began:.0f} s")


def measure(bench: Bench, python: str) -> list[Row]:
    """Time all three in each repetition."""
    load = a_load("uniform", bench.events, bench.customers, bench.seed)
    speeds: dict[str, list[Speed]] = {OURS: [], QUIX: [], BYTEWAX: []}
    for _ in range(bench.repetitions):
        with serving(bench, load) as ours:
            speeds[OURS].append(speed(ours.work_off(), load.timed))
            ours.system.stop()
            speeds[QUIX].append(_quix(ours, python, min(EACH, load.timed)))
            speeds[BYTEWAX].append(_bytewax(ours, python, min(EACH, load.timed)))
    what = (f"uniform, {bench.customers:,} customers, {load.timed:,} events", bench.broker)
    rows = []
    for name, own in speeds.items():
        note = "" if name == OURS else f"{min(EACH, load.timed):,} events"
        rates, costs = [s.rate for s in own], [s.cpu_per_million for s in own]
        rows.append(Row.of(f"throughput: {name}", *what, "events/s", rates, note=note))
        rows.append(Row.of(f"CPU: {name}", *what, "s per million events", costs, note=note))
    ours_rates = [s.rate for s in speeds[OURS]]
    for other, bar in ((QUIX, None), (BYTEWAX, TWICE)):
        ratios = [mine / its.rate for mine, its in zip(ours_rates, speeds[other], strict=True)]
        name = f"throughput: this worker ÷ {other}"
        rows.append(Row.of(name, *what, "events/s", ours_rates, ratios=ratios, bar=bar))
    return rows


def _quix(ours: Runtime, python: str, count: int) -> Speed:
    """It stores every record with one SET."""
    before = ours.store.calls("set")
    return foreign(ours, "quix_worker", count, lambda: ours.store.calls("set") - before, python)


def _bytewax(ours: Runtime, python: str, count: int) -> Speed:
    """It stores a batch at a time and counts the records beside that."""
    key = f"{ours.settings.group}-bytewax-worker:done"

    def done() -> int:
        value = ours.store.client.get(key)
        return int(value) if isinstance(value, bytes) else 0

    return foreign(ours, "bytewax_worker", count, done, python)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    add = parser.add_argument
    add("--python", default=".venv-peers/bin/python", help="where they are installed (%(default)s)")
    add("--events", type=int, default=200_000, help="timed events of our worker (%(default)s)")
    add("--customers", type=int, default=20_000, help="(%(default)s)")
    add("--repetitions", type=int, default=3, help="(%(default)s)")
    add("--seed", type=int, default=1, help="(%(default)s)")
    add("--broker", choices=(EMBEDDED, KAFKA), default=EMBEDDED)
    add("--out", type=Path, help="merge the rows into the report in this folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
