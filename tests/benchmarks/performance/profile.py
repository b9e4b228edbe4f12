"""Where a purchase's microseconds go: py-spy on the worker under load, reduced to a budget.

``python -m tests.benchmarks.performance.profile`` prints it; ``--out docs`` writes it too.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from rich.console import Console

from tests.benchmarks.performance import budget
from tests.benchmarks.performance.__main__ import base_settings
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.loads import a_load, fill
from tests.benchmarks.performance.report import write
from tests.benchmarks.performance.results import EMBEDDED, KAFKA, Findings, Row
from tests.benchmarks.performance.stage import Sample, held, speed, watch

SAMPLES_PER_SECOND = 200
RECORD_S = 600


def main() -> None:
    """Profile one run over a backlog."""
    options, console = _options(), Console(width=120)
    with base_settings(options.broker) as base:
        bench = Bench(base, options.events, options.customers, seed=options.seed)
        rows = measure(bench, options.raw)
    console.print(budget.table(rows))
    if options.out:
        write(Findings(rows), options.out)


def measure(bench: Bench, keep: Path | None = None) -> list[Row]:
    """CPU of an event, from the system's account, shared out by where the samples were taken."""
    load = a_load("uniform", bench.events, bench.customers, bench.seed)
    with serving(bench, load) as ours, tempfile.TemporaryDirectory() as folder:
        place = keep or Path(folder) / "stacks.txt"
        worker = ours.system.workers[0]
        with held(worker):
            fill(
                ours.settings.kafka_broker, ours.settings.topic_purchases, load.events[load.warm :]
            )
        samples = _recorded(ours, place)
        micros = speed(samples, load.timed).cpu_per_million
        counts = budget.reduced(place.read_text().splitlines())
    workload = f"uniform, {bench.customers:,} customers, {load.timed:,} events"
    return budget.rows(counts, micros, workload, bench.broker)


def _recorded(ours: Runtime, place: Path) -> list[Sample]:
    """Sample the stacks of the running worker until the backlog is worked off."""
    worker, load = ours.system.workers[0], ours.load
    words = [str(Path(sysconfig.get_path("scripts")) / "py-spy"), "record", "--format", "raw"]
    words += ["--pid", str(worker.pid), "--rate", str(SAMPLES_PER_SECOND), "--full-filenames"]
    words += ["--duration", str(RECORD_S), "--output", str(place), "--nonblocking"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as spy:
        samples = watch(lambda: ours.store.applied() - load.warm, load.timed, worker)
        spy.send_signal(2)
        said = spy.communicate()[1]
    if not place.exists():
        sys.exit(f"py-spy could not look at the worker: {said.decode(errors='replace')}")
    return samples


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.performance.profile", description=__doc__
    )
    add = parser.add_argument
    add("--events", type=int, default=200_000, help="(%(default)s)")
    add("--customers", type=int, default=20_000, help="(%(default)s)")
    add("--seed", type=int, default=1, help="(%(default)s)")
    add("--broker", choices=(EMBEDDED, KAFKA), default=EMBEDDED)
    add("--raw", type=Path, help="keep the stacks in this file, in py-spy's raw format")
    add("--out", type=Path, help="merge the rows into the report in this folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
