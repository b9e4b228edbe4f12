"""The model: the linear history of the writes that survive, and all that follows from it alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from stream_app.adapters.memory_store import MemoryStore
from stream_app.contracts import SegmentChanged
from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from stream_app.pipeline import Chunk, Outcome, Pipeline, Session
from stream_app.ports import ApplyStatus, Batch, PartitionStore, Pending
from tests.builders import (
    CHANGES,
    FAR,
    PROFILES,
    PURCHASES,
    ROOM,
    ARecord,
    a_pipeline,
    a_profile_record,
    a_record,
    serving,
)

CUSTOMERS = ("ann", "bob", "cat")
RECORDS = 48
BUYERS = (0, 1, 0, 2, 1)
HOURS = (6, 480, 12, 1500, 240, 6, 900)  # between two purchases: many customers lapse meanwhile
BROKEN = 11  # one purchase in so many becomes a dead letter
MODELS = serving()


def _purchase(offset: int) -> ARecord:
    customer = CUSTOMERS[BUYERS[offset % len(BUYERS)]]
    if offset % BROKEN == BROKEN - 1:
        return ARecord(offset, customer.encode(), b"{")
    hours = sum(HOURS[i % len(HOURS)] for i in range(offset))
    return a_record(offset, customer, at=hours / 24, total=offset + 1)


def _profile(offset: int) -> ARecord:
    return a_profile_record(offset, CUSTOMERS[offset % len(CUSTOMERS)], at=offset, age=20 + offset)


STREAMS: dict[str, Sequence[ARecord]] = {
    PURCHASES: [_purchase(i) for i in range(RECORDS)],
    PROFILES: [_profile(i) for i in range(RECORDS)],
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
        follows = batch.after == self.batch
        fits = follows and self.positions.get(batch.topic, batch.base) == batch.base
        return ApplyStatus.OK if fits else ApplyStatus.MISMATCH

    def claimed(self, epoch: int) -> "Ledger":
        """Begin an epoch."""
        return replace(self, epoch=epoch, batch="")

    def after(self, batch: Batch) -> "Ledger":
        """Append a write that was accepted."""
        return replace(
            self,
            batch=batch.id,
            history=(*self.history, Job(batch.topic, batch.base, batch.next)),
            sent=(*self.sent, *batch.outbox),
            waiting=self.waiting | {entry.id for entry in batch.outbox},
        )

    def trimmed(self, ids: Iterable[str]) -> "Ledger":
        """Remove published messages from the outbox."""
        return replace(self, waiting=self.waiting.difference(ids))


class Seen(NamedTuple):
    """All that is stored of a partition's customers; counters that are zero are left out."""

    counters: dict[str, int]
    states: list[CustomerState | None]
    due: list[str]


async def seen(store: PartitionStore, partition: int) -> Seen:
    """Read it."""
    counters = {k: v for k, v in (await store.counters(partition)).items() if v}
    states = await store.load(partition, CUSTOMERS)
    return Seen(counters, states, await store.due(partition, FAR, len(CUSTOMERS) + 1))


class Expected(NamedTuple):
    """What a history must leave behind, and what its messages must tell."""

    seen: Seen
    told: list[object]


async def recomputed(partition: int, history: Sequence[Job]) -> Expected:
    """Apply each record of a history exactly once, one at a time, with nothing to disturb it."""
    store = MemoryStore()
    pipeline = a_pipeline(store, MODELS)
    session = Session.of(partition, await store.claim(partition, "reference"), ROOM)
    messages: list[Outgoing] = []
    for single in (single for job in history for single in job.singly()):
        outcome = await single.run(pipeline, session)
        messages += [pending.message for pending in outcome.outbox] if outcome else []
    return Expected(await seen(store, partition), [told(message) for message in messages])


@lru_cache(maxsize=10_000)
def moved(message: Outgoing) -> SegmentChanged | None:
    """Read the segment change in a message; None for a dead letter."""
    if message.topic != CHANGES or message.value is None:
        return None
    return SegmentChanged.model_validate_json(message.value)


def told(message: Outgoing) -> object:
    """What a message says, without by whom it was decided."""
    move = moved(message)
    return told_of(move) if move else message


def told_of(move: SegmentChanged) -> dict[str, Any]:
    return move.model_dump(exclude={"epoch", "id"})


def consumed(messages: Iterable[Outgoing]) -> dict[str, list[SegmentChanged]]:
    """Read a topic as a consumer that keeps the greatest (epoch, sequence) per customer.

    A move that was decided anew takes the place of the one it had, and of those after it.
    """
    moves: dict[str, list[SegmentChanged]] = {}
    ids: dict[str, SegmentChanged] = {}
    for move in filter(None, map(moved, messages)):
        assert ids.setdefault(move.id, move) == move
        had = moves.setdefault(move.customer_id, [])
        if had and (move.epoch, move.sequence) <= (had[-1].epoch, had[-1].sequence):
            continue
        assert move.sequence <= len(had) + 1, "a hole"
        del had[move.sequence - 1 :]
        assert move.previous == (had[-1].current if had else None)
        had.append(move)
    return moves
