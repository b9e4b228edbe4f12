"""``segmenter demo``: the whole system on real purchases, watched live."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from producers.catalog import DEFAULT_DATA, open_sources
from producers.columns import ColumnMap
from producers.preview import summary
from producers.sources import Facts, Source
from producers.terminal import STOPPED, explained, say
from stream_app import interrupt
from stream_app.cli.columns import with_columns
from stream_app.cli.produce import Data
from stream_app.config import ClockMode, load
from stream_app.config_values import hide_password
from stream_app.demo.report import Run, report
from stream_app.demo.run import Demo
from stream_app.demo.system import running, services
from stream_app.demo.view import Progress, render
from stream_app.demo.watch import Seen
from stream_app.words import days, number

AUTO_SECONDS = 50.0
EXIT_UNVERIFIED = 1

console = Console(stderr=True, highlight=False)


@with_columns
def demo(
    *,
    data: Data = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="auto|max|N",
            help="auto: all of it in about 50 seconds; max: as fast as it goes; "
            "N: N times as fast as it was",
        ),
    ] = "auto",
    once: Annotated[
        bool, typer.Option("--once", help="End after the replay; do not wait for Ctrl-C")
    ] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.json", help="Write the report here")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Worker processes")] = 1,
    columns: ColumnMap,
) -> None:
    """Watch a year of real purchases become segments, and customers move between them.

    Starts a Kafka broker and a Valkey store of its own unless KAFKA_BROKER and REDIS_URL are set,
    a worker and a trainer; replays the purchases; then recomputes every customer straight from
    the input and says whether the store agrees. Examples:

        segmenter demo

        segmenter demo --data cdnow --once --report report.json

        segmenter demo --data sales.csv --speed max
    """
    with explained():
        names = data or [DEFAULT_DATA]
        say([f"reading {', '.join(names)} …"])
        source = open_sources(names, columns)
        say(summary(source.facts))
        factor = _speed(speed, source.facts)
    _run(source, factor, workers, once=once, report_file=report_file)


def _run(
    source: Source, factor: float | None, workers: int, *, once: bool, report_file: Path | None
) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with services(load(clock=ClockMode.EVENT)) as settings, running(settings, workers) as system:
        progress = Progress(source.facts.name, source.facts.total or 0)
        progress.hint = (
            f"KAFKA_BROKER={settings.kafka_broker} REDIS_URL={hide_password(settings.redis_url)} "
            "SEGMENTER_CLOCK=event segmenter changes --follow"
        )
        show = Demo(settings, system, source, factor, progress)
        try:
            run = _watch(show, once=once)
        except KeyboardInterrupt:
            say(["stopped"])
            raise typer.Exit(STOPPED) from None
    _conclude(run, show.seen, report_file)


def _speed(text: str, facts: Facts) -> float | None:
    """Event seconds per second; None for as fast as possible."""
    if text == "max":
        return None
    if text == "auto":
        return max(1.0, (facts.last - facts.first) / 1000 / AUTO_SECONDS)
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise typer.BadParameter(f"{text!r} is neither auto, max nor a number above 0")
    return factor


def _watch(show: Demo, *, once: bool) -> Run:
    """Run with a live view; without a terminal, with a line every few seconds."""
    if not console.is_terminal:
        return interrupt.run(show.run(_Lines(show)))
    with Live(console=console, screen=not once, auto_refresh=False, transient=True) as live:

        def draw() -> None:
            live.update(render(show.seen, show.progress, console.height), refresh=True)

        run = interrupt.run(show.run(draw))
        show.progress.note = "verified" if run.verification.verified else "NOT verified"
        if not once:
            show.progress.note += " · Ctrl-C ends the demo"
            draw()
            _until_interrupted()
    return run


class _Lines:
    """A line of progress now and then, for logs."""

    def __init__(self, show: Demo) -> None:
        self._show = show
        self._ticks = 0

    def __call__(self) -> None:
        self._ticks += 1
        if self._ticks % 50 == 0:
            show = self._show
            done, rate = show.seen.overview.records, show.progress.rate
            model = show.seen.model.version if show.seen.model else "warming up"
            events = f"{done:,} of {show.progress.total:,} events, {rate:,.0f}/s"
            say([f"{show.progress.note}: {events}, model {model}, {show.seen.moves():,} moves"])


def _until_interrupted() -> None:
    try:
        asyncio.run(_forever())
    except KeyboardInterrupt:
        return


async def _forever() -> None:
    await asyncio.Event().wait()


def _conclude(run: Run, seen: Seen, report_file: Path | None) -> None:
    facts = report(run, seen)
    out = Console(highlight=False)
    table = Table(box=None)
    table.add_column("segment", no_wrap=True)
    for name in ("customers", "share", "last order", "recent orders", "basket", "every"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in facts["segments"]:
        profile = row["profile"]
        table.add_row(
            row["name"],
            f"{row['customers']:,}",
            f"{row['share']:.0%}",
            f"{days(profile['recency_days'])} ago",
            number("decayed_orders", profile["decayed_orders"]),
            number("average_basket", profile["average_basket"]),
            days(profile["mean_gap_days"]),
        )
    out.print(table)
    moves = ", ".join(f"{count:,} {reason}" for reason, count in facts["moves"].items() if count)
    latency = facts["latency_seconds"]
    out.print(
        f"{facts['events']['in']:,} events in {facts['seconds']:.1f} s "
        f"({facts['events_per_second']:,.0f}/s), latency p50 {latency['p50']} s, "
        f"p99 {latency['p99']} s; moves: {moves or 'none'}; {facts['model_versions']} models"
    )
    if report_file:
        report_file.write_text(json.dumps(facts, indent=2) + "\n")
        out.print(f"report: {report_file}", soft_wrap=True)
    if run.verification.verified:
        out.print(
            f"verified: {run.verification.customers:,} customers recomputed from the input are "
            f"equal, {run.verification.moves:,} moves without a hole"
        )
        return
    out.print("NOT verified:", *run.verification.problems, sep="\n  ")
    raise typer.Exit(EXIT_UNVERIFIED)
