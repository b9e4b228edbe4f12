"""Open-loop traffic through our system, and how old each segment change is when it is read."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from producers.sources import DAY_MS
from tests.benchmarks.performance.contenders import Bench, Runtime
from tests.benchmarks.performance.listener import READY
from tests.benchmarks.performance.loads import Load, shop
from tests.benchmarks.performance.stage import Program, Watched, pause, until

LEAD_MS = 4_000
MAKING_MS = 0.05  # at most, a purchase
HISTORY_DAYS = 240
NEARLY_MS = 500
RECENT = 200
LOOK_S = 0.5
WAIT_MS = 5  # the embedded broker answers a waiting fetch only after a part of this
CAUSED = {"initial", "purchase", "refund", "profile", "raw"}


class Heard(NamedTuple):
    """A change: its record's time (of a lapse: when it was due), when it was read, both in ms."""

    published: float
    received: float
    reason: str

    @property
    def age(self) -> float:
        """Milliseconds from the one to the other."""
        return self.received - self.published


class Ear:
    """What a listener has heard so far; each look reads on where the last one ended."""

    def __init__(self, listener: Program) -> None:
        self.listener = listener
        self._place = listener.folder / "log"
        self._read = 0
        self._heard: list[Heard] = []

    @property
    def ready(self) -> bool:
        """Whether it listens; asked before anything else."""
        self._read = len(READY) if self._place.read_text().startswith(READY) else 0
        return self._read > 0

    def heard(self) -> list[Heard]:
        """All changes so far; a line that is being written is left for the next look."""
        with self._place.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        text = text[: text.rfind(b"\n") + 1]
        self._read += len(text)
        for line in text.decode().splitlines():
            published, received, reason = line.split()
            self._heard.append(Heard(float(published), float(received), reason))
        return self._heard


@dataclass(frozen=True, slots=True)
class Traffic:
    """Purchases under way since ``began`` (ms)."""

    began: int
    ear: Ear
    watched: tuple[Watched, ...]

    def wait_until(self, second: float) -> None:
        """Wait until so many seconds after the beginning."""
        while (left := self.began / 1000 + second - time.time()) > 0:
            for process in self.watched:
                process.check()
            pause(min(left, 0.5))

    def heard_until(self, second: float) -> None:
        """Wait until then, and until the changes of that time have come: an overload shows."""
        self.wait_until(second)
        last = self.began + 1000 * second - NEARLY_MS

        def come() -> bool:
            newest = (h for h in reversed(self.ear.heard()) if h.reason in CAUSED)
            return any(h.published >= last for h in islice(newest, RECENT))

        until(come, f"the changes of second {second:.0f} are read", *self.watched, every=LOOK_S)

    def ages(self, start: float, end: float) -> list[float]:
        """Ages of the changes that purchases of these seconds caused."""
        low, high = self.began + 1000 * start, self.began + 1000 * end
        found = [h for h in self.ear.heard() if h.reason in CAUSED]
        return [h.age for h in found if low <= h.published < high]


def history(bench: Bench, count: int) -> Load:
    """Purchases of the last 240 days, none of them timed."""
    end, span = round(time.time() * 1000), HISTORY_DAYS * DAY_MS
    times = [end - span + span * n // count for n in range(count)]
    return Load("history", shop("uniform", count, bench.customers, bench.seed, times), count)


@contextmanager
def listening(runtime: Runtime, *, raw: bool = False, wait: int = WAIT_MS) -> Iterator[Ear]:
    """Read the segment changes of a system from now on, or the purchases themselves (``raw``).

    ``wait``: how long a fetch may take (ms).
    """
    settings = runtime.settings
    topic = settings.topic_purchases if raw else settings.topic_changes
    values = {"broker": settings.kafka_broker, "topic": topic, "raw": raw, "wait": wait}
    with Program.of("listener", values | {"partitions": settings.partitions}) as listener:
        ear = Ear(listener)
        until(lambda: ear.ready, "the listener listens", listener)
        yield ear


@contextmanager
def traffic(
    bench: Bench,
    runtime: Runtime,
    per_second: int,
    seconds: float,
    seed: int,
    *,
    wait: int = WAIT_MS,
) -> Iterator[Traffic]:
    """Publish so many purchases a second for so long, and listen.

    Where no worker runs it is the purchases that are listened to.
    """
    settings, workers = runtime.settings, runtime.system.workers
    with listening(runtime, raw=not workers, wait=wait) as ear:
        began = round(time.time() * 1000 + lead_ms(per_second, seconds))
        values: dict[str, Any] = {"broker": settings.kafka_broker}
        values |= {"topic": settings.topic_purchases, "customers": bench.customers}
        values |= {"rate": per_second, "seconds": seconds}
        with Program.of("open_loop", values | {"seed": seed, "began": began}) as publisher:
            yield Traffic(began, ear, (publisher, *workers))


def lead_ms(per_second: int, seconds: float) -> float:
    """How long the publisher prepares for so many seconds of traffic."""
    return LEAD_MS + per_second * seconds * MAKING_MS
