"""Open-loop traffic through our system, and how old each segment change is when it is read."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from producers.sources import DAY_MS
from tests.benchmarks.performance.contenders import Bench, Runtime
from tests.benchmarks.performance.listener import READY
from tests.benchmarks.performance.loads import Load, shop
from tests.benchmarks.performance.stage import Program, pause, until

RATE = 5_000
LEAD_MS = 4_000
HISTORY_DAYS = 240
CAUSED = {"initial", "purchase", "refund", "profile"}
SETTLE_S = 2.0


class Heard(NamedTuple):
    """A change: its record's time (of a lapse: when it was due), when it was read, both in ms."""

    published: float
    received: float
    reason: str

    @property
    def age(self) -> float:
        """Milliseconds from the one to the other."""
        return self.received - self.published


@dataclass(frozen=True, slots=True)
class Traffic:
    """Purchases under way since ``began`` (ms)."""

    began: int
    listener: Program
    publisher: Program

    def wait_until(self, second: float) -> None:
        """Wait until so many seconds after the beginning."""
        while (left := self.began / 1000 + second - time.time()) > 0:
            self.listener.check()
            self.publisher.check()
            pause(min(left, 0.5))

    def heard(self) -> list[Heard]:
        """Everything that was read so far."""
        return heard(self.listener)

    def ages(self, start: float, end: float) -> list[float]:
        """Ages of the changes that purchases of these seconds caused."""
        low, high = self.began + 1000 * start, self.began + 1000 * end
        found = [h for h in self.heard() if h.reason in CAUSED]
        return [h.age for h in found if low <= h.published < high]


def history(bench: Bench, count: int) -> Load:
    """Purchases of the last 240 days, none of them timed."""
    end, span = round(time.time() * 1000), HISTORY_DAYS * DAY_MS
    times = [end - span + span * n // count for n in range(count)]
    return Load("history", shop("uniform", count, bench.customers, bench.seed, times), count)


@contextmanager
def listening(runtime: Runtime) -> Iterator[Program]:
    """Read the segment changes of a system, from now on."""
    settings = runtime.settings
    values = {"broker": settings.kafka_broker, "topic": settings.topic_changes}
    with Program.of("listener", values | {"partitions": settings.partitions}) as listener:
        until(lambda: bool(_lines(listener)), "the listener listens", listener)
        yield listener


@contextmanager
def traffic(bench: Bench, runtime: Runtime, seconds: float, seed: int) -> Iterator[Traffic]:
    """Publish 5,000 purchases a second for so long, and listen."""
    settings = runtime.settings
    with listening(runtime) as listener:
        began = round(time.time() * 1000) + LEAD_MS
        values: dict[str, Any] = {"broker": settings.kafka_broker}
        values |= {"topic": settings.topic_purchases}
        values |= {"rate": rate(bench), "seconds": seconds, "customers": bench.customers}
        with Program.of("open_loop", values | {"seed": seed, "began": began}) as publisher:
            yield Traffic(began, listener, publisher)


def rate(bench: Bench) -> int:
    """Purchases a second."""
    return RATE // 10 if bench.smoke else RATE


def heard(listener: Program) -> list[Heard]:
    """Read what a listener has noted; a line that is being written is left out."""
    found = []
    for line in _lines(listener):
        if line != READY and line.endswith("\n"):
            published, received, reason = line.split()
            found.append(Heard(float(published), float(received), reason))
    return found


def _lines(listener: Program) -> Sequence[str]:
    place: Path = listener.folder / "log"
    return place.read_text().splitlines(keepends=True)
