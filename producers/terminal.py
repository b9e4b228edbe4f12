"""A replay as seen in a terminal: progress, Ctrl-C, and errors said in a sentence."""

import logging
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from producers.checkout import BrokerUnreachableError, DeliveryError
from producers.replay import ReplayOptions, Sink, Stop, Totals, replay
from producers.sources import Source, SourceError, iso

FAILED = 1
WRONG_USE = 2
STOPPED = 130

console = Console(stderr=True, highlight=False)


def say(lines: Iterable[str]) -> None:
    """Print to standard error, as it is."""
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors a user can mend into a sentence and an exit code: 2 wrong use, 1 failed."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters is raised and said below
    try:
        yield
    except (SourceError, OSError) as error:
        say([f"error: {error}"])
        raise typer.Exit(WRONG_USE) from None
    except (BrokerUnreachableError, DeliveryError) as error:
        say([f"error: {error}"])
        raise typer.Exit(FAILED) from None


def run(source: Source, sink: Sink, options: ReplayOptions) -> Totals:
    """Replay with a progress line; the first Ctrl-C stops cleanly, the second at once."""
    with _stoppable() as stop, _progress() as bar:
        task = bar.add_task("", total=None, rate="", date="", count="")
        began, total = time.monotonic(), _expected(source, options)

        def show(sent: int, at: int) -> None:
            rate = sent / max(time.monotonic() - began, 1e-3)
            bar.update(
                task,
                completed=sent,
                total=total,
                count=f"{sent:,}" + (f" of {total:,}" if total else ""),
                rate=f"{rate:,.0f}/s",
                date=iso(at)[:16].replace("T", " "),
            )

        return replay(source, sink, options, stop=stop, progress=show)


def conclude(totals: Totals, hint: str) -> None:
    """Say what was sent; when stopped early, the hint, and exit with 130."""
    rate = totals.sent / max(totals.seconds, 1e-3)
    say([f"{totals.sent:,} records sent in {totals.seconds:.1f} s ({rate:,.0f}/s)"])
    if totals.stopped:
        say([f"stopped after record {totals.done:,}, {iso(totals.at)}{hint}"])
        raise typer.Exit(STOPPED)


def _expected(source: Source, options: ReplayOptions) -> int | None:
    total = source.facts.total
    left = None if total is None else max(0, total - options.start)
    return min((n for n in (left, options.limit) if n is not None), default=None)


def _progress() -> Progress:
    columns = ("{task.fields[count]}", "{task.fields[rate]}", "{task.fields[date]}")
    return Progress(BarColumn(), *map(TextColumn, columns), console=console, transient=True)


@contextmanager
def _stoppable() -> Iterator[Stop]:
    stop = Stop()

    def on_signal(*_: object) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
