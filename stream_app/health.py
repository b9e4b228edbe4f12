"""Liveness of a process: a thread that sees every stall, ends it with a reason, and answers probes.

Decided in `watchdog.py`; here is what it looks at. It needs neither Faust nor the event loop to
work: the loop itself is a place that must move.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NoReturn, Protocol

from faust.types import TP

from stream_app.adapters.http import FINE
from stream_app.adapters.kafka_app import ChunkApp
from stream_app.adapters.log_ends import LogEnds
from stream_app.adapters.patient_store import PatientStore
from stream_app.watchdog import Place, StallError, Watchdog
from stream_app.whereabouts import WATCHING, doing, running

logger = logging.getLogger(__name__)
LOOKS = 20
LONGEST_PAUSE_S = 1.0
LOOP_S = 5.0


class Standing(Protocol):
    """Who knows how far the work on each partition is; asked from a thread."""

    def position(self, tp: TP) -> int | None:
        """Next offset to be worked on; None before the partition is taken up."""

    def outboxes(self) -> Iterable[Place]:
        """List what is done and not yet published."""


class Health:
    """What there is to know of a process's liveness; ``fail`` ends the process."""

    def __init__(
        self,
        app: ChunkApp,
        standing: Standing,
        store: PatientStore,
        ends: LogEnds,
        limit: float,
        fail: Callable[[StallError], NoReturn],
    ) -> None:
        self._app = app
        self._standing = standing
        self._store = store
        self._ends = ends
        self._limit = limit
        self._fail = fail
        self._pause = min(LONGEST_PAUSE_S, limit / LOOKS)
        self._work = Watchdog(limit)
        self._turning = Watchdog(limit)
        self._beats = 0
        self._judged = -1
        self._beaten = time.monotonic()
        self._ended = threading.Event()
        self._asking: asyncio.Task[None] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch from now on; the caller is in the thread in which ``loop`` will run."""
        self._asking = loop.create_task(self._ask(), name=WATCHING)
        arguments = (loop, threading.get_ident())
        threading.Thread(target=self._watch, args=arguments, name="watchdog", daemon=True).start()

    async def end(self) -> None:
        """Stop asking and watching: the process is about to end."""
        self._ended.set()
        if self._asking:
            self._asking.cancel()
        await self._ends.close()

    async def _ask(self) -> None:
        """Ask both services now and then, so that an idle process knows whether they answer."""
        while True:
            await self._ends.look(self._app.assigned())
            await self._store.answers()
            await asyncio.sleep(self._pause)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while not self._ended.wait(self._pause) and not loop.is_closed():
            before = self._beats
            with suppress(RuntimeError):  # closed just now
                loop.call_soon_threadsafe(self._beat)
            now = time.monotonic()
            if self._turning.look(now, [Place("the event loop", before, before + 1)]):
                text = f"the event loop has not turned for {self._limit:.0f} s"
                self._fail(StallError(f"{text}; it is in {running(thread)}"))
            if before != self._judged:  # else everything stands because the loop does
                self._judged = before
                self._judge(now, loop)

    def _judge(self, now: float, loop: asyncio.AbstractEventLoop) -> None:
        stall = self._work.look(now, self._places(), self._outages(now))
        if isinstance(stall, str):
            self._fail(StallError(f"{stall}, and is not waited for any longer"))
        if stall:
            inside = doing(loop, f"lane-{stall.place.partition}")
            self._fail(StallError(f"{stall}; it waits in {inside}"))

    def _beat(self) -> None:
        self._beats += 1
        self._beaten = time.monotonic()

    def _places(self) -> list[Place]:
        places = list(self._standing.outboxes())
        for tp in self._app.assigned():
            position = self._standing.position(tp)
            end = self._ends.known.get(tp, 0)
            places.append(
                Place(f"{tp.topic}/{tp.partition}", position, end, partition=tp.partition)
            )
        return places

    def _outages(self, now: float) -> dict[str, float]:
        outages = {"the store": self._store.out(now), "Kafka": self._ends.out(now)}
        return {service: seconds for service, seconds in outages.items() if seconds}

    def alive(self) -> Mapping[str, str]:
        """Answer ``/healthz``: whether the event loop turns."""
        still = time.monotonic() - self._beaten
        return {"loop": FINE if still < LOOP_S else f"it has not turned for {still:.1f} s"}

    def ready(self) -> Mapping[str, str]:
        """Answer ``/readyz``: part by part, ``ok`` or what is not."""
        now = time.monotonic()
        out = self._outages(now)
        longest = self._work.longest
        unclaimed = [tp for tp in self._app.assigned() if self._standing.position(tp) is None]
        slow = longest and longest.seconds > self._limit / 2
        names = ", ".join(sorted(f"{tp.topic}/{tp.partition}" for tp in unclaimed))
        return {
            **self.alive(),
            "joined": FINE if self._app.joined() else "not (yet) a member of the group",
            "claimed": f"not claimed yet: {names}" if unclaimed else FINE,
            "store": _silence(out.get("the store", 0)),
            "kafka": _silence(out.get("Kafka", 0)),
            "progress": str(longest) if slow else FINE,
        }


def _silence(seconds: float) -> str:
    return f"has not answered for {seconds:.1f} s" if seconds else FINE
