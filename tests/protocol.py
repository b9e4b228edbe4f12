"""Simulated owners of partitions on real stores, and a model of what the store must then hold.

A store under test is opened, looked into and rolled back through a `Server`. `Line` is a worker's
connection that can lose a request or an answer. `Ledger` is the model: the linear history of the
writes that survive. `recomputed` tells from that history alone what the customers must look like.
"""

import asyncio
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

import msgspec
from redis.asyncio import Redis

from stream_app.adapters.memory_store import MemoryStore
from stream_app.adapters.metrics import Metrics
from stream_app.adapters.patient_store import PatientStore
from stream_app.adapters.redis_store import RedisStore, connect
from stream_app.contracts import SegmentChanged
from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from stream_app.pipeline import Chunk, Outcome, Pipeline, Session
from stream_app.ports import Applied, ApplyStatus, Batch, Claim, PartitionStore, Pending
from tests.builders import (
    CHANGES,
    FAR,
    PROFILES,
    PURCHASES,
    ARecord,
    a_pipeline,
    a_profile_record,
    a_record,
    serving,
)
from tests.harness import until

CUSTOMERS = ("ann", "bob", "cat")
RECORDS = 48
CACHED = 2  # fewer than there are customers: some states come from the cache, some from the store
GAPS = (1, 1, 9, 2, 40, 1, 250, 3)  # days; the longer ones let the others lapse
BROKEN = 11  # one record in so many becomes a dead letter
MODELS, METRICS = serving(), Metrics()


def _purchase(offset: int) -> ARecord:
    customer = CUSTOMERS[offset * offset % 7 % len(CUSTOMERS)]
    at = sum(GAPS[i % len(GAPS)] for i in range(offset))
    if offset % BROKEN == BROKEN - 1:
        return ARecord(offset, customer.encode(), b"{")
    return a_record(offset, customer, at=at / 4, total=offset + 1)


STREAMS: dict[str, Sequence[ARecord]] = {
    PURCHASES: [_purchase(i) for i in range(RECORDS)],
    PROFILES: [
        a_profile_record(i, CUSTOMERS[i % len(CUSTOMERS)], at=i, age=20 + i) for i in range(RECORDS)
    ],
}


class Job(NamedTuple):
    """One write: the records ``[base, next)`` of a topic; a sweep of the lapses where none."""

    topic: str
    base: int
    next: int

    async def run(self, pipeline: Pipeline, session: Session) -> Outcome | None:
        """Do it as the lane of a worker does."""
        if self.base == self.next:
            return await pipeline.lapse(session, FAR)
        records = STREAMS[self.topic][self.base : self.next]
        chunk = Chunk(self.topic, session.partition, self.base, self.next, records)
        return await pipeline.process(session, chunk, FAR)

    def singly(self) -> list["Job"]:
        """The same, a record at a time."""
        if self.base == self.next:
            return [self]
        return [Job(self.topic, i, i + 1) for i in range(self.base, self.next)]


@dataclass(frozen=True)
class Ledger:
    """What a partition must hold: the last claim, and the writes since the beginning."""

    epoch: int = 0
    batch: str = ""
    history: tuple[Job, ...] = ()
    sent: tuple[Pending, ...] = ()
    waiting: frozenset[str] = frozenset()

    @property
    def positions(self) -> dict[str, int]:
        """Next offset by topic; none where no record was applied."""
        return {job.topic: job.next for job in self.history if job.base != job.next}

    @property
    def outbox(self) -> tuple[Pending, ...]:
        """What waits to be published, in order."""
        return tuple(entry for entry in self.sent if entry.id in self.waiting)

    def verdict(self, epoch: int, batch: Batch) -> ApplyStatus:
        """Tell how the store must answer."""
        if epoch != self.epoch:
            return ApplyStatus.FENCED
        if batch.id == self.batch:
            return ApplyStatus.OK_DUP
        fits = self.positions.get(batch.topic, batch.base) == batch.base
        return ApplyStatus.OK if fits else ApplyStatus.MISMATCH

    def after(self, batch: Batch) -> "Ledger":
        """Append a write that was accepted."""
        return replace(
            self,
            batch=batch.id,
            history=(*self.history, Job(batch.topic, batch.base, batch.next)),
            sent=(*self.sent, *batch.outbox),
            waiting=self.waiting | {entry.id for entry in batch.outbox},
        )


class Seen(NamedTuple):
    """All that is stored of a partition's customers."""

    counters: dict[str, int]
    states: list[CustomerState | None]
    due: list[str]


async def seen(store: PartitionStore, partition: int) -> Seen:
    """Read it; counters that are zero are left out."""
    counters = {k: v for k, v in (await store.counters(partition)).items() if v}
    states = await store.load(partition, CUSTOMERS)
    return Seen(counters, states, await store.due(partition, FAR, len(CUSTOMERS) + 1))


class Expected(NamedTuple):
    """What a history must leave behind, and the messages it must have sent, without their ids."""

    seen: Seen
    told: list[object]


async def recomputed(partition: int, history: tuple[Job, ...]) -> Expected:
    """Apply each record of a history exactly once, one at a time, with nothing to disturb it."""
    store = MemoryStore()
    pipeline = a_pipeline(store, MODELS)
    session = Session.of(partition, await store.claim(partition, "reference"))
    messages: list[Outgoing] = []
    for job in (single for job in history for single in job.singly()):
        outcome = await job.run(pipeline, session)
        messages += [pending.message for pending in outcome.outbox] if outcome else []
    return Expected(await seen(store, partition), [told(message) for message in messages])


@lru_cache(maxsize=10_000)
def moved(message: Outgoing) -> SegmentChanged | None:
    """The segment change in a message; None for a dead letter."""
    is_change = message.topic == CHANGES and message.value
    return SegmentChanged.model_validate_json(message.value or b"") if is_change else None


def told(message: Outgoing) -> object:
    """A message without what tells by whom it was decided."""
    move = moved(message)
    return move.model_dump(exclude={"epoch", "id"}) if move else message


class Loss(StrEnum):
    """What a connection does to a call."""

    NOTHING = "nothing is lost"
    REQUEST = "the request is lost"
    ANSWER = "the answer is lost"


Witness = Callable[[int, int, Batch, Applied], None]


class Line(PatientStore):
    """A connection that loses as told; the call then waits for ``again`` and repeats itself."""

    def __init__(self, store: PartitionStore, witness: Witness) -> None:
        super().__init__(store, METRICS)
        self._witness = witness
        self.loss = Loss.NOTHING
        self.stuck, self.again = asyncio.Event(), asyncio.Event()

    async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
        """See `PartitionStore.apply`; every answer the store gives is told to the witness."""
        while True:
            loss = self.loss
            if loss is not Loss.REQUEST:
                answer = await super().apply(partition, epoch, batch)
                self._witness(partition, epoch, batch, answer)
                if loss is Loss.NOTHING:
                    return answer
            self.stuck.set()
            await self.again.wait()
            self.again.clear()


class Owner:
    """A worker's hold of one partition: at most one write under way, and what it may publish."""

    def __init__(self, name: str, partition: int, line: Line) -> None:
        self.name, self.partition = name, partition
        self.session: Session | None = None
        self.unsent: list[Pending] = []
        self._line = line
        self._pipeline = a_pipeline(line, MODELS, cache_customers=CACHED)
        self._work: asyncio.Task[Outcome | None] | None = None

    @property
    def waits(self) -> bool:
        """Whether a write is not answered yet."""
        return self._work is not None

    async def claim(self) -> Claim:
        """Begin a session; what is left in the outbox is to be published first."""
        claim = await self._line.claim(self.partition, self.name)
        self.session = Session.of(self.partition, claim)
        self.unsent = list(claim.pending)
        return claim

    async def start(self, job: Job, loss: Loss) -> None:
        """Begin a write, up to its answer or its loss."""
        assert self.session
        self._line.loss = loss
        self._work = asyncio.create_task(job.run(self._pipeline, self.session))
        await self._proceed()

    async def repeat(self, loss: Loss) -> None:
        """Send the very same write again."""
        self._line.loss = loss
        self._line.again.set()
        await self._proceed()

    async def _proceed(self) -> None:
        assert self._work
        stuck = asyncio.create_task(self._line.stuck.wait())
        await asyncio.wait({self._work, stuck}, return_when=asyncio.FIRST_COMPLETED)
        stuck.cancel()
        self._line.stuck.clear()
        if not self._work.done():
            return
        outcome, self._work = self._work.result(), None
        if outcome and outcome.ok:
            self.unsent += outcome.outbox
        elif outcome:
            self.session = None

    async def crash(self) -> None:
        """Forget everything."""
        if self._work:
            self._work.cancel()
            await asyncio.wait({self._work})
        self._line.again.clear()
        self._work, self.session, self.unsent = None, None, []


class Server(Protocol):
    """A store under test, with what only a test does to it."""

    store: PartitionStore

    async def outbox(self, partition: int) -> tuple[Pending, ...]:
        """Read what waits to be published."""

    async def copy(self, partition: int) -> Any:
        """Copy all that is stored of a partition."""

    async def put_back(self, partition: int, copy: Any, epoch: int) -> None:
        """Replace all by a copy, once the clock has passed the greatest epoch ever given."""

    async def close(self) -> None:
        """Let go."""


class MemoryServer:
    """The memory store by a clock of its own."""

    def __init__(self) -> None:
        self.clock = 1_000
        self.store = MemoryStore(now=lambda: self.clock)

    async def outbox(self, partition: int) -> tuple[Pending, ...]:
        return tuple(self.store._of(partition).outbox.values())

    async def copy(self, partition: int) -> Any:
        return deepcopy(self.store._of(partition))

    async def put_back(self, partition: int, copy: Any, epoch: int) -> None:
        self.clock = max(self.clock, epoch) + 1
        self.store._partitions[partition] = deepcopy(copy)

    async def close(self) -> None:
        pass


class RedisServer:
    """The Redis store on a server of which it has everything to itself, emptied."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = connect(url)
        self.store = RedisStore(self._redis)

    async def outbox(self, partition: int) -> tuple[Pending, ...]:
        entries = await self._redis.xrange(self.store._key(partition, "out"))
        decode = msgspec.msgpack.Decoder(Outgoing).decode
        return tuple(Pending(i.decode(), decode(fields[b"m"])) for i, fields in entries)

    async def copy(self, partition: int) -> Any:
        keys = await self._redis.keys(self.store._key(partition, "*"))
        return {key: await self._redis.dump(key) for key in keys}

    async def put_back(self, partition: int, copy: Any, epoch: int) -> None:
        await until(lambda: self._later_than(epoch), "the clock passes the greatest epoch")
        for key in await self._redis.keys(self.store._key(partition, "*")):
            await self._redis.delete(key)
        for key, value in copy.items():
            await self._redis.restore(key, 0, value)

    async def _later_than(self, ms: int) -> bool:
        seconds, micros = cast("tuple[int, int]", await self._redis.time())
        return seconds * 1000 + micros // 1000 > ms

    async def close(self) -> None:
        await self._redis.flushall()
        await self.store.close()
