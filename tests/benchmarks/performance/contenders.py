"""How fast each of them works off the same backlog: our worker, the bare loop, the plain worker.

Our worker has first worked off the beginning of the stream, a model serves and everybody has a
segment. It is then held (SIGSTOP) while the topic is filled, so that its cache and its model are
those of a worker that has fallen behind. The bare loop goes over the same records again, on the
states that our worker stored. The plain worker begins with the same topic, for fewer records.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.adapters.embedded import ServiceError
from stream_app.bootstrap import prepare
from stream_app.config import Settings
from stream_app.demo.system import System, running
from tests.benchmarks.performance.asking import Store
from tests.benchmarks.performance.loads import Load, fill
from tests.benchmarks.performance.results import EMBEDDED, KAFKA
from tests.benchmarks.performance.stage import (
    DEADLINE_S,
    LEAST_RATE,
    TOPICS,
    Program,
    Sample,
    Speed,
    held,
    own_settings,
    speed,
    until,
    watch,
)

FILL_RATE = 100_000  # at least; 200,000 were seen


class WrongCountError(Exception):
    """A contender did not count every record once."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every experiment is given. ``base``: settings that name the broker and the store.

    ``full``: the sizes of the specification where the default is smaller. ``smoke``: everything
    as small and short as can be.
    """

    base: Settings
    events: int = 50_000
    customers: int = 20_000
    repetitions: int = 3
    seed: int = 1
    full: bool = False
    smoke: bool = False

    @property
    def broker(self) -> str:
        """Name of the broker, for the rows: the embedded one has no idempotence."""
        return KAFKA if self.base.idempotence else EMBEDDED

    @property
    def session(self) -> float:
        """Session timeout of the groups (s); the embedded broker lets a member wait for half."""
        return 4.0 if self.broker == EMBEDDED else self.base.session_timeout

    @property
    def plain_events(self) -> int:
        """How many events the contenders get that work one by one."""
        return min(self.events, 2_000 if self.smoke else 5_000)


@dataclass(slots=True)
class Runtime:
    """Our system at work.

    ``done``: how many events are applied; ``started``: seconds from its start to the first applied
    record; ``memory``: bytes in the store before; ``positions``: where each partition stood when
    the timed part began; ``moves``: messages for the outbox per record of that part.
    """

    settings: Settings
    system: System
    store: Store
    load: Load
    done: int
    started: float
    memory: int
    positions: list[int] = field(default_factory=list)
    moves: float = 0.0

    def work_off(self, count: int | None = None) -> list[Sample]:
        """Fill the topic while the workers are held, let go, and look on until all is applied.

        ``count``: how many of the events that are left; all of them unless given.
        """
        store, done = self.store, self.done
        part = self.load.events[done:][:count]
        self.positions, before = store.positions(), store.moves()
        with held(*self.system.workers):
            fill(self.settings.kafka_broker, self.settings.topic_purchases, part)
        samples = watch(lambda: store.applied() - done, len(part), *self.system.workers)
        self.moves = (store.moves() - before) / len(part)
        self.done += len(part)
        self.verify(self.done)
        return samples

    def bytes_each(self) -> float:
        """Bytes that the store holds for a customer, all keys counted."""
        return (self.store.memory() - self.memory) / max(1, self.store.buyers())

    def verify(self, records: int) -> None:
        """Every record must have been applied, none twice, none refused."""
        counts = self.store.counters()
        if counts.get("applied") != records:
            raise WrongCountError(f"{records:,} records, but counted were {counts}")


@contextmanager
def serving(bench: Bench, load: Load, **values: object) -> Iterator[Runtime]:
    """Run our system on the beginning of a load until a model serves and everybody has a place."""
    settings = _settings(bench, load, values)
    store = Store(settings)
    memory, patience = store.memory(), DEADLINE_S + load.warm / LEAST_RATE
    asyncio.run(prepare(settings))
    fill(settings.kafka_broker, settings.topic_purchases, load.events[: load.warm])
    began = time.perf_counter()
    try:
        with running(settings, 1) as system:
            until(lambda: store.applied() > 0, "a record is applied", *system.workers)
            started = time.perf_counter() - began
            for ready, what in (
                (lambda: store.applied() >= load.warm, "the warm-up is applied"),
                (lambda: store.model() > 0, "there is a model"),
                (lambda: store.placed() >= store.buyers(), "everybody has a segment"),
            ):
                until(ready, what, *system.workers, system.trainer, seconds=patience)
            yield Runtime(settings, system, store, load, load.warm, started, memory)
    finally:
        _remove(settings)


@contextmanager
def stocked(
    bench: Bench, load: Load, stock: Callable[[Settings], None], workers: int, **values: object
) -> Iterator[Runtime]:
    """Run workers without trainer on what ``stock`` puts into the store; all events are timed."""
    settings = _settings(bench, load, values)
    asyncio.run(prepare(settings))
    try:
        stock(settings)
        with running(settings, workers) as system:
            system.trainer.stop()
            yield Runtime(settings, system, Store(settings), load, 0, 0.0, 0)
    finally:
        _remove(settings)


def _settings(bench: Bench, load: Load, values: Mapping[str, object]) -> Settings:
    """Settings of a system of its own, whose workers may be held while its topic is filled."""
    session = bench.session + load.timed / FILL_RATE
    return own_settings(bench.base, f"b{uuid4().hex[:3]}", **{"session_timeout": session, **values})


def bare(done: Runtime) -> Speed:
    """Time the bare loop on what our worker has done; our processes must have ended."""
    load, settings = done.load, done.settings
    values = {"settings": settings.model_dump(mode="json"), "total": load.timed}
    starts, store = done.positions, done.store
    values |= {"starts": starts, "moves": done.moves}
    with Program.of("bare_loop", values) as loop:
        samples = watch(lambda: _since(store.positions("bare"), starts), load.timed, loop)
        loop.wait()
    return speed(samples, load.timed)


def _since(positions: list[int], starts: list[int]) -> int:
    pairs = zip(positions, starts, strict=True)
    return sum(max(0, position - start) for position, start in pairs)


def plain(done: Runtime, count: int) -> Speed:
    """Time the plain worker on the first records of the same topic: it stores each with one SET."""
    before = done.store.calls("set")
    return foreign(done, "plain_worker", count, lambda: done.store.calls("set") - before)


def foreign(
    done: Runtime,
    module: str,
    count: int,
    progress: Callable[[], int],
    python: str = sys.executable,
) -> Speed:
    """Time a worker that is not ours, until it has done so many records; then it is killed."""
    settings = done.settings
    group = f"{settings.group}-{module.replace('_', '-')}"
    changes = f"{group}-changes"
    create(settings, changes)
    with Program.of(module, arguments(settings, group, changes), python) as worker:
        return speed(watch(progress, count, worker), count)


def arguments(settings: Settings, group: str, changes: str) -> dict[str, Any]:
    """What a foreign worker has to know."""
    return {
        "group": group,
        "broker": settings.kafka_broker,
        "redis_url": settings.redis_url,
        "topic": settings.topic_purchases,
        "changes": changes,
        "session_timeout": settings.session_timeout,
        "rebalance_timeout": settings.rebalance_timeout,
    }


def create(settings: Settings, topic: str) -> None:
    """Create a topic with as many partitions as purchases has."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_broker, "log_level": 3})
    for future in admin.create_topics([NewTopic(topic, settings.partitions, 1)]).values():
        future.result()


def _remove(settings: Settings) -> None:
    """Make room for the next: what it left in the store, and its topics."""
    Store(settings).forget()
    admin = AdminClient({"bootstrap.servers": settings.kafka_broker, "log_level": 3})
    names = [str(getattr(settings, f"topic_{topic}")) for topic in TOPICS]
    for future in admin.delete_topics(names).values():
        if future.exception(10.0):
            raise ServiceError(f"a topic can't be deleted: {future.exception()}")
