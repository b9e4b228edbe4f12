"""Measure the quality of the segments: ``make quality ARGS="--only inertia --seeds 2"``."""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.quality.experiments import EXPERIMENTS, Job, jobs
from tests.benchmarks.quality.report import shown, write
from tests.benchmarks.quality.results import Findings, Row, summaries

PROCESSES = 2
DOCS = Path(__file__).parents[3] / "docs"


def main() -> None:
    """Run what is asked for; only a full run writes the report unless a folder is given."""
    options, console = _options(), Console(width=140)
    began = time.perf_counter()
    seeds = range(1, options.seeds + 1)
    found = measure(list(jobs(seeds, options.only, quick=options.quick)), console)
    console.print(_table(found.rows))
    full = not options.only and not options.quick
    folder = options.out or (DOCS if full else None)
    if folder:
        write(found, seeds, folder)
        console.print(f"written: {folder}/quality.md and quality.json")
    console.print(f"{time.perf_counter() - began:.0f} s")


def measure(todo: Sequence[Job], console: Console) -> Findings:
    """Run the jobs, two at a time."""
    found = Findings()
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        waiting = {pool.submit(job.run): job for job in todo}
        for number, done in enumerate(as_completed(waiting), 1):
            job = waiting[done]
            found += done.result()
            console.print(f"{number} of {len(todo)}: {job.experiment}, seed {job.seed}")
    return found


def _table(rows: Sequence[Row]) -> Table:
    table = Table("row", "what", "data", "seeds", "value", "bar", "met")
    marks = {True: "yes", False: "[bold red]no", None: ""}
    for row in summaries(rows):
        bar = str(row.bar) if row.bar else ""
        cells = (row.row, row.name, row.data, str(row.seed), shown(row.value), bar, marks[row.met])
        table.add_row(*cells)
    return table


def _options() -> argparse.Namespace:
    rows = sorted({row for experiment in EXPERIMENTS.values() for row in experiment.rows})
    parser = argparse.ArgumentParser(prog="make quality", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 1 on")
    parser.add_argument("--only", choices=rows, metavar="ROW", help=f"one of {', '.join(rows)}")
    parser.add_argument("--quick", action="store_true", help="150 days of the real histories")
    parser.add_argument("--out", type=Path, help="folder of the report (a full run: docs)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
