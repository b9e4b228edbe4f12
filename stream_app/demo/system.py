"""Starts what the demo needs: a broker and a store where none is configured, workers, a trainer.

Everything ends with this process, even by SIGKILL.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from stream_app.adapters.embedded import EmbeddedBroker, EmbeddedStore, ServiceError
from stream_app.adapters.guarded import end, launch
from stream_app.config import Settings, environment

STOP_SECONDS = 15.0
LOG_TAIL = 2_000


class Child:
    """One of our processes: ``segmenter worker`` or ``segmenter trainer``; ``with`` kills it."""

    def __init__(self, command: str, settings: Settings) -> None:
        self.command = command
        self.folder = Path(tempfile.mkdtemp(prefix=f"segmenter-{command}-"))
        program = [sys.executable, "-m", "stream_app", command]
        env = os.environ | environment(settings)
        self._process = launch(self.folder, self.folder / "log", program, env)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise ServiceError with the end of its log if the process has ended."""
        if self._process.poll() is not None:
            log = (self.folder / "log").read_text(errors="replace")[-LOG_TAIL:]
            raise ServiceError(
                f"segmenter {self.command} ended ({self._process.returncode}):\n{log}"
            )

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Let it finish its work (SIGTERM), then make sure that it is gone; return its code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        end(self._process, how, STOP_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)
        return int(self._process.returncode)


class System:
    """The running processes."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.settings = settings
        self.trainer = Child("trainer", settings)
        self.workers = [Child("worker", settings) for _ in range(workers)]

    def check(self) -> None:
        """Raise ServiceError if a process has ended."""
        for child in (self.trainer, *self.workers):
            child.check()

    def stop(self) -> None:
        """Stop the trainer and then the workers."""
        for child in (self.trainer, *self.workers):
            child.stop()


@contextmanager
def services(settings: Settings) -> Iterator[Settings]:
    """Start a broker and a store unless they are configured; yield settings that name them."""
    with ExitStack() as stack:
        found: dict[str, object] = {}
        if not settings.kafka_broker:
            broker = stack.enter_context(EmbeddedBroker())
            found |= {"kafka_broker": broker.address, "idempotence": False}
            found |= {"rebalance_timeout": 2.0, "session_timeout": 6.0, "fetch_wait": 0.005}
        if not settings.redis_url:
            found["redis_url"] = stack.enter_context(EmbeddedStore()).url
        yield settings.model_copy(update=found)


@contextmanager
def running(settings: Settings, workers: int) -> Iterator[System]:
    """Run workers and a trainer for the length of a ``with`` block."""
    system = System(settings, workers)
    try:
        yield system
    finally:
        system.stop()
