"""One demo run: start everything, replay, watch, wait until it is quiet, verify, report."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from producers.checkout import CheckoutPublisher
from producers.replay import ReplayOptions, Stop, replay
from producers.sources import Kind, Source
from stream_app.adapters.queries import Queries
from stream_app.bootstrap import features_of, limits_of, prepare, store_of
from stream_app.config import ConfigError, Settings
from stream_app.demo.report import Run
from stream_app.demo.system import System
from stream_app.demo.verify import Verification, histories, verify
from stream_app.demo.view import Progress
from stream_app.demo.watch import Seen, Watch
from stream_app.interrupt import end_tasks

BACKLOG = 2_000
TICK_S = 0.1
STALL_S = 60.0
CATCH_UP_S = 30.0
RATE_S = 2.0


class StalledError(Exception):
    """Nothing has been applied for a minute although records are waiting."""


@dataclass(slots=True)
class Demo:
    """A run in progress; ``seen`` and ``progress`` are what a view draws."""

    settings: Settings
    system: System
    source: Source
    speed: float | None
    progress: Progress
    stop: Stop = field(default_factory=Stop)
    seen: Seen = field(default_factory=Seen)
    _rates: list[tuple[float, int]] = field(default_factory=list)

    async def run(self, tick: Callable[[], None]) -> Run:
        """Replay everything and verify it; ``tick`` is called ten times a second."""
        await prepare(self.settings)
        store = store_of(self.settings)
        features = features_of(self.settings)
        queries = Queries(store, self.settings.partitions, features, self.settings.margin)
        watch = Watch(self.settings, queries)
        self.seen = watch.seen
        try:
            await store.follow()
            await self._require_empty(queries)
            async with _background(watch), _ticking(self, tick):
                began = time.monotonic()
                sent = await self._replay()
                await self._applied(sent)
                seconds = time.monotonic() - began
                self.progress.note = "verifying"
                await self._quiet(queries)
                await asyncio.to_thread(self.system.trainer.stop)  # no more models from here on
                await self._quiet(queries)
                await asyncio.to_thread(self.system.stop)
                await watch.look()
                verification = await self._verify(queries)
        finally:
            self.stop.request()
            await store.close()
        return Run(self.source.facts.name, sent, seconds, verification)

    async def _require_empty(self, queries: Queries) -> None:
        if (await queries.overview()).records:
            raise ConfigError(
                "REDIS_URL: the store holds customers already, and a demo must begin with none: "
                "set another SEGMENTER_NAMESPACE and other SEGMENTER_TOPIC_ names"
            )

    async def _replay(self) -> int:
        topics: dict[Kind, str] = {
            "purchase": self.settings.topic_purchases,
            "profile": self.settings.topic_profiles,
        }
        options = ReplayOptions(
            topics=topics, speed=self.speed, backlog=self._backlog, backlog_limit=BACKLOG
        )
        idempotence = self.settings.idempotence
        publisher = CheckoutPublisher(self.settings.kafka_broker, idempotence=idempotence)
        self.progress.note = "replaying"
        with publisher:
            totals = await asyncio.to_thread(
                replay, self.source, publisher, options, stop=self.stop, progress=self._sent
            )
        self.progress.sent = totals.sent
        return totals.sent

    def _sent(self, sent: int, _at: int) -> None:
        self.progress.sent = sent

    def _backlog(self) -> int:
        """Count the records sent but not applied, as of the last look; the replay thread asks."""
        return self.progress.sent - self.seen.overview.records

    def note_rate(self) -> None:
        """Keep the rate of the last two seconds."""
        now = time.monotonic()
        self._rates.append((now, self.seen.overview.records))
        while now - self._rates[0][0] > RATE_S:
            self._rates.pop(0)
        (then, before), (_, after) = self._rates[0], self._rates[-1]
        self.progress.rate = (after - before) / max(TICK_S, now - then)

    async def _applied(self, sent: int) -> None:
        """Wait until every record has had its effect."""
        moved, records = time.monotonic(), -1
        while (now := self.seen.overview.records) < sent:
            self.system.check()
            if now != records:
                moved, records = time.monotonic(), now
            elif time.monotonic() - moved > STALL_S:
                raise StalledError(
                    f"{sent - now:,} of {sent:,} records wait, none was applied for a minute"
                )
            await asyncio.sleep(TICK_S)

    async def _quiet(self, queries: Queries) -> None:
        """Wait until nobody is due any more and every message is out."""
        for _ in range(round(CATCH_UP_S / TICK_S)):
            if await self._is_quiet(queries):
                return
            await asyncio.sleep(TICK_S)

    async def _is_quiet(self, queries: Queries) -> bool:
        """Whether nobody is due, everybody has a segment that is served, and all is published."""
        sizes, model = (await queries.overview()).sizes, await queries.model()
        placed = sum(sizes.get(s.id, 0) for s in model.segments) if model else 0
        waiting = model is not None and placed < await queries.buyers()
        return not (waiting or await queries.is_anyone_due() or await queries.outbox_length())

    async def _until(self, done: Callable[[], bool]) -> None:
        """Wait for a condition, half a minute at most."""
        for _ in range(round(CATCH_UP_S / TICK_S)):
            if done():
                return
            await asyncio.sleep(TICK_S)

    async def _verify(self, queries: Queries) -> Verification:
        rates = limits_of(self.settings).rates
        expected = await asyncio.to_thread(histories, self.source, rates)
        states = await queries.states(expected)
        published = sum(state.sequence for state in states.values() if state)
        await self._until(lambda: self.seen.moves() >= published)
        half_life = self.settings.half_life_days
        served = self.seen.model is not None
        return await asyncio.to_thread(
            verify, expected, states, self.seen.chains, half_life, served=served
        )


@asynccontextmanager
async def _background(watch: Watch) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(watch.follow()), asyncio.create_task(watch.poll())]
    try:
        yield
    finally:
        await end_tasks(tasks)


@asynccontextmanager
async def _ticking(demo: Demo, tick: Callable[[], None]) -> AsyncIterator[None]:
    async def forever() -> None:
        while True:
            demo.note_rate()
            tick()
            await asyncio.sleep(TICK_S)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        await end_tasks([task])
