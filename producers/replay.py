"""Send a history through a publisher: at full speed or paced by event time, resumable.

The position is saved after each flush and only then, so it never claims a record the broker has
not acknowledged. After a crash the unclaimed records are sent again, with the same ids.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Protocol

from producers.position import save_position
from producers.sources import Kind, Record, Source

FLUSH_SECONDS = 1.0
TICK_SECONDS = 0.1
BACKLOG_EVERY = 256

Progress = Callable[[int, int], None]


class Sink(Protocol):
    """Where records go: a `CheckoutPublisher`, or a file."""

    def send(self, topic: str, key: str, value: bytes | None) -> None:
        """Take a record."""

    def flush(self) -> None:
        """Return when every record taken is safe; raise otherwise."""


class Stop:
    """A request to end; `request` may be called from a signal handler."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, *_: object) -> None:
        """Ask for the end."""
        self.requested = True

    def wait(self, seconds: float) -> None:
        """Wait that long, or a little until the end is requested."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            # A handler must not touch a lock the waiting thread may hold: hence short waits.
            Event().wait(min(left, TICK_SECONDS))


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    ``speed``: event seconds per second, None for as fast as possible. ``start``: records to pass
    over. ``limit``: most records to send. ``position``: file to save the position in.
    ``backlog``: how many records the pipeline has yet to process; above ``backlog_limit`` the
    replay waits.
    """

    topics: Mapping[Kind, str] = field(
        default_factory=lambda: {"purchase": "purchases", "profile": "profiles"}
    )
    speed: float | None = None
    start: int = 0
    limit: int | None = None
    position: Path | None = None
    backlog: Callable[[], int] | None = None
    backlog_limit: int = 20_000


@dataclass(frozen=True, slots=True)
class Totals:
    """``sent`` in this run; ``done`` counts from the source's first record; ``at`` in ms."""

    sent: int
    done: int
    at: int
    seconds: float
    stopped: bool


def replay(
    source: Source,
    sink: Sink,
    options: ReplayOptions,
    *,
    stop: Stop | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Totals:
    """Send the source's records in order; return when all are acknowledged, or on ``stop``.

    ``progress`` gets the records sent and the event time (ms), at most ten times a second. What
    the sink raises passes through, and leaves the position at the last good flush.
    """
    return _Run(source, sink, options, stop or Stop(), progress, clock).run()


class _Run:
    def __init__(
        self,
        source: Source,
        sink: Sink,
        options: ReplayOptions,
        stop: Stop,
        progress: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self._source, self._sink, self._options = source, sink, options
        self._stop, self._progress, self._clock = stop, progress, clock
        self._sent, self._at, self._first = 0, source.facts.first, 0
        self._began = self._ticked = self._flushed = clock()

    def run(self) -> Totals:
        options, topics, send = self._options, self._options.topics, self._sink.send
        end = None if options.limit is None else options.start + options.limit
        for record in islice(self._source, options.start, end):
            self._await_turn(record)
            if self._stop.requested:
                break
            send(topics[record.kind], record.customer_id, record.value)
            self._sent += 1
            self._at = record.at
        self._checkpoint()
        seconds, done = self._clock() - self._began, options.start + self._sent
        return Totals(self._sent, done, self._at, seconds, self._stop.requested)

    def _await_turn(self, record: Record) -> None:
        """Return when the record's time has come, the pipeline has room, or the end is near."""
        self._housekeep()
        if self._options.backlog and self._sent % BACKLOG_EVERY == 0:
            while self._options.backlog() > self._options.backlog_limit and self._pause():
                pass
        if self._options.speed is None:
            return
        self._first = self._first or record.at
        due = self._began + (record.at - self._first) / 1000 / self._options.speed
        while (left := due - self._clock()) > 0 and self._pause(left):
            pass

    def _pause(self, seconds: float = TICK_SECONDS) -> bool:
        self._stop.wait(min(seconds, TICK_SECONDS))
        self._housekeep()
        return not self._stop.requested

    def _housekeep(self) -> None:
        now = self._clock()
        if now - self._flushed >= FLUSH_SECONDS:
            self._checkpoint()
        if now - self._ticked >= TICK_SECONDS:
            self._report(now)

    def _report(self, now: float) -> None:
        self._ticked = now
        if self._progress:
            self._progress(self._sent, self._at)

    def _checkpoint(self) -> None:
        self._sink.flush()
        self._flushed = self._clock()
        if self._options.position:
            done = self._options.start + self._sent
            save_position(self._options.position, self._source.facts, done, self._at)
        self._report(self._flushed)
