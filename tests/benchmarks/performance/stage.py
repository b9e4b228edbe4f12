"""Processes under test, looked at from outside: what the store and the system say of them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, Protocol, Self, cast

import msgspec
import psutil

from stream_app.adapters.embedded import ServiceError
from stream_app.adapters.guarded import GUARDED
from stream_app.config import ClockMode, Settings

POLL_S = 0.05
DEADLINE_S = 120.0
LEAST_RATE = 500
LOG_TAIL = 2_000
TOPICS = ("purchases", "profiles", "changes", "dead_letters", "vectors", "models")


class Watched(Protocol):
    """A process that can be asked whether it still runs."""

    @property
    def pid(self) -> int: ...

    def check(self) -> None: ...


class Program:
    """A process of its own that ends with this one, even by SIGKILL."""

    def __init__(
        self, name: str, words: Sequence[str], env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix="segmenter-bench-"))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*GUARDED, str(self.folder), *words],
                env=os.environ | dict(env or {}),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @classmethod
    def of(cls, module: str, values: Mapping[str, Any], python: str = sys.executable) -> Self:
        """Run a module of the benchmark; ``values`` are its one argument, as JSON."""
        words = [python, "-m", f"tests.benchmarks.performance.{module}"]
        return cls(module, [*words, msgspec.json.encode(values).decode()])

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """The end of what it said."""
        return (self.folder / "log").read_text(errors="replace")[-LOG_TAIL:]

    def check(self) -> None:
        """Raise ServiceError with the end of its log if the process has failed."""
        if self._process.poll():
            raise ServiceError(f"{self.name} ended ({self._process.returncode}):\n{self.log}")

    def wait(self, seconds: float = DEADLINE_S) -> None:
        """Wait for its end; ServiceError if it fails or takes longer."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{self.name} did not end in {seconds:.0f} s") from None
        self.check()

    def stop(self) -> None:
        """End it and remove its folder."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        cast("Any", self._process.stdin).close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Sample(NamedTuple):
    """A look at a process: when (s), records done, its CPU seconds, its memory in bytes."""

    at: float
    done: int
    cpu: float
    rss: int


class Speed(NamedTuple):
    """Records a second of wall time, and CPU seconds for a million of them."""

    rate: float
    cpu_per_million: float


def own_settings(base: Settings, name: str, **values: object) -> Settings:
    """Settings of a system of its own on the shared broker and store."""
    own = {f"topic_{topic}": f"{name}-{topic}" for topic in TOPICS}
    fixed: dict[str, Any] = {
        "namespace": name,
        "group": name,
        "clock": ClockMode.EVENT,
        "warmup_customers": 500,
        "warmup_days": 0.05,  # the beginning of a stream must do
    }
    return Settings.model_validate(base.model_dump() | own | fixed | values)


def pause(seconds: float) -> None:
    """Let time pass: a measurement may have to."""
    Event().wait(seconds)


def until(
    condition: Callable[[], bool],
    what: str,
    *watched: Watched,
    seconds: float = DEADLINE_S,
    every: float = POLL_S,
) -> None:
    """Wait for a condition; ServiceError if it takes two minutes or a process has failed."""
    deadline = time.monotonic() + seconds
    while not condition():
        for process in watched:
            process.check()
        if time.monotonic() > deadline:
            said = [f"{p.name}: {p.log}" for p in watched if isinstance(p, Program) and p.log]
            raise ServiceError("\n".join([f"not within {seconds:.0f} s: {what}", *said]))
        pause(every)


@contextmanager
def held(*processes: Watched) -> Iterator[None]:
    """Stop processes (SIGSTOP) and let them go on after the block."""
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


def cpu_of(pid: int) -> tuple[float, int]:
    """CPU seconds and resident bytes of a process."""
    process = psutil.Process(pid)
    times, memory = process.cpu_times(), process.memory_info()
    return times.user + times.system, memory.rss


def watch(done: Callable[[], int], total: int, *watched: Watched) -> list[Sample]:
    """Look at processes until so many records are done; CPU and memory are their sums."""
    samples: list[Sample] = []

    def look() -> bool:
        looked = [cpu_of(process.pid) for process in watched]
        cpu, rss = (sum(values) for values in zip(*looked, strict=True))
        samples.append(Sample(time.perf_counter(), done(), cpu, int(rss)))
        return samples[-1].done >= total

    seconds = DEADLINE_S + total / LEAST_RATE
    until(look, f"{total:,} records are done", *watched, seconds=seconds)
    return samples


def speed(samples: Sequence[Sample], total: int, low: float = 0.1, high: float = 0.9) -> Speed:
    """Rate and CPU between the first looks at or beyond these shares of ``total``.

    >>> looks = [Sample(float(t), t * 10, t / 2, 0) for t in range(11)]
    >>> speed(looks, 100)
    Speed(rate=10.0, cpu_per_million=50000.0)
    """
    first = next(s for s in samples if s.done >= low * total)
    last = next(s for s in samples if s.done >= high * total)
    if last.done == first.done:  # all of it between two looks: then from the look before
        first = samples[max(0, samples.index(last) - 1)]
    records = max(1, last.done - first.done)
    seconds = max(POLL_S, last.at - first.at)
    return Speed(records / seconds, (last.cpu - first.cpu) / records * 1e6)
