"""The story of one chunk: decode, load, fold and judge, one atomic write, publish.

``Pipeline.process`` is the only place that knows the order. States come in through the store port,
the pure core decides (``core/turn.py``), one `Batch` goes out through the same port; its messages
wait in the outbox until the caller has published them. Every purchase is judged on its own, in
order, so results do not depend on how records were cut into chunks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from stream_app.contracts import PopulationSample, Reason, RejectReason, SampledCustomer
from stream_app.core.events import (
    Event,
    Limits,
    Record,
    Rejected,
    decode_profile,
    decode_purchase,
    to_datetime,
)
from stream_app.core.folds import CustomerState
from stream_app.core.model import Models
from stream_app.core.transitions import Judge
from stream_app.core.turn import Rules, Turn
from stream_app.ports import (
    Applied,
    ApplyStatus,
    Batch,
    CustomerWrite,
    PartitionStore,
    Pending,
)
from stream_app.session import Chunk, Session

__all__ = ["Chunk", "Outcome", "Pipeline", "Session"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one write did: the store's answer, what is to be published, counts for the metrics.

    ``rejected``: the records that became dead letters, by offset.
    """

    applied: Applied
    outbox: Sequence[Pending]
    counts: Counter[str]
    moves: Counter[Reason]
    rejected: dict[int, Rejected]

    @property
    def ok(self) -> bool:
        """Whether the write is in the store."""
        return self.applied.status in {ApplyStatus.OK, ApplyStatus.OK_DUP}


class Pipeline:
    """Processes chunks, lapses, re-scores and samples of the partitions this process owns."""

    def __init__(
        self,
        store: PartitionStore,
        models: Models,
        rules: Rules,
        limits: Limits,
        topics: tuple[str, str],
    ) -> None:
        self.store = store
        self.models = models
        self.rules = rules
        self._limits = limits
        self._purchases, profiles = topics
        self._decoders: dict[str, Callable[[Record, Limits, int], Event]] = {
            self._purchases: decode_purchase,
            profiles: decode_profile,
        }

    async def process(self, session: Session, chunk: Chunk, wall: int) -> Outcome:
        """Apply one chunk. ``wall`` is the present in ms.

        Records the core cannot handle become dead letters; the rest of the chunk is applied.
        """
        events = self._decode(chunk, wall)
        while True:
            turn = await self._begin(session, chunk, events, wall)
            try:
                turn.take(chunk.records, events)
            except Exception:  # noqa: BLE001 - whatever it is, one of the records caused it
                session.cache.clear()
                anew = await self._begin(session, chunk, events, wall)
                index, error = _culprit(anew, chunk.records, events)
                detail = f"{type(error).__name__}: {error}"
                events[index] = Rejected(RejectReason.HANDLER_ERROR, detail)
                session.cache.clear()
            else:
                return await self._write(session, turn, chunk.topic, chunk.base, chunk.next)

    async def _begin(
        self, session: Session, chunk: Chunk, events: Sequence[Event], wall: int
    ) -> Turn:
        states = await self._states(session, _customers(events))
        return self._turn(session, chunk.topic, states, wall)

    async def lapse(self, session: Session, wall: int, most: int = 256) -> Outcome | None:
        """Judge up to ``most`` customers whose silence is due; None if there are none."""
        now = session.clock if self.rules.event_clock else wall
        if not self.models or session.next_due is None or session.next_due > now:
            return None
        customers = await self.store.due(session.partition, now, most)
        if not customers:
            session.next_due = None
            return None
        states = await self._states(session, customers)
        return await self._judge_again(session, states, wall, Turn.lapse)

    async def rescore(
        self, session: Session, cursor: int, most: int, wall: int
    ) -> tuple[int, Outcome | None]:
        """Judge about ``most`` stored customers under the current model; return the next cursor.

        The walk over all customers starts and ends at cursor 0.
        """
        cursor, customers = await self.store.scan(session.partition, cursor, most)
        states = await self._states(session, customers)
        version = self.models.current.version
        behind = {c: s for c, s in states.items() if s and s.orders and s.model != version}
        if not behind:
            return cursor, None
        return cursor, await self._judge_again(session, behind, wall, Turn.rescore)

    async def population(self, session: Session) -> int:
        """Count the stored customers who have bought."""
        population, _ = await self.store.sample(session.partition, 0)
        return population

    async def sample(self, session: Session, size: int, wall: int) -> PopulationSample | None:
        """Draw stored customers uniformly and evaluate them now; None if there are none."""
        population, customers = await self.store.sample(session.partition, size)
        states = await self._states(session, customers)
        features = self.rules.features
        now = session.clock if self.rules.event_clock else wall
        known = [(c, s) for c in customers if (s := states[c]) is not None and s.orders]
        if not known:
            return None
        vectors = features.natural([features.row(s) for _, s in known], [now] * len(known))
        drawn = tuple(
            SampledCustomer(customer_id=customer, vector=tuple(vector))
            for (customer, _), vector in zip(known, vectors.tolist(), strict=True)
        )
        return PopulationSample(
            feature_set=features.version,
            partition=session.partition,
            population=population,
            event_time=to_datetime(now),
            customers=drawn,
        )

    async def _judge_again(
        self,
        session: Session,
        states: Mapping[str, CustomerState | None],
        wall: int,
        step: Callable[[Turn, Sequence[str]], None],
    ) -> Outcome:
        """Apply a step to each customer in a write that consumes no record."""
        turn = self._turn(session, self._purchases, states, wall)
        step(turn, list(states))
        position = session.positions.get(self._purchases, 0)
        return await self._write(session, turn, self._purchases, position, position)

    def _decode(self, chunk: Chunk, wall: int) -> list[Event]:
        decode = self._decoders[chunk.topic]
        return [decode(record, self._limits, wall) for record in chunk.records]

    async def _states(
        self, session: Session, customers: Iterable[str]
    ) -> dict[str, CustomerState | None]:
        """Read states from the session's cache, the rest from the store."""
        states: dict[str, CustomerState | None] = {c: session.cache.get(c) for c in customers}
        missing = [customer for customer, state in states.items() if state is None]
        if missing:
            loaded = await self.store.load(session.partition, missing)
            states.update(zip(missing, loaded, strict=True))
        return states

    def _turn(
        self, session: Session, topic: str, states: Mapping[str, CustomerState | None], wall: int
    ) -> Turn:
        replay = self.rules.event_clock or self.rules.history
        judge = Judge(
            models=self.models,
            epoch=session.epoch,
            emitted=wall,
            topic=topic,
            home=self._purchases,
            partition=session.partition,
            replay=replay,
            serial=count(session.moves + 1),
        )
        return Turn(self.rules, judge, states, session.clock, wall)

    async def _write(
        self, session: Session, turn: Turn, topic: str, base: int, following: int
    ) -> Outcome:
        session.batches += 1
        written = list(turn.written())
        batch = Batch(
            id=f"{session.epoch}-{session.batches}",
            topic=topic,
            base=base,
            next=following,
            clock=turn.clock,
            customers=[CustomerWrite(c, s, (s.due or None) if s else None) for c, s in written],
            outbox=session.enqueue(turn.outbox),
            counts=dict(turn.counts),
            after=session.last_batch,
        )
        applied = await self.store.apply(session.partition, session.epoch, batch)
        outcome = Outcome(applied, batch.outbox, turn.counts, turn.moves, turn.rejected)
        if outcome.ok:
            session.last_batch = batch.id
            session.positions[topic] = following
            session.clock = turn.clock
            session.moves += turn.moves.total()
            session.next_due = applied.next_due
            (session.refresh if base == following else session.remember)(written)
        else:
            session.cache.clear()
        return outcome


def _customers(events: Iterable[Event]) -> list[str]:
    return [event.customer_id for event in events if not isinstance(event, Rejected)]


def _culprit(
    turn: Turn, records: Sequence[Record], events: Sequence[Event]
) -> tuple[int, Exception]:
    """Apply the events one by one; return the first that cannot be handled, and why."""
    for index, (record, event) in enumerate(zip(records, events, strict=True)):
        try:
            turn.take([record], [event])
        except Exception as error:
            if isinstance(event, Rejected):
                raise
            return index, error
    raise RuntimeError("records that cannot be handled together can be one by one: a defect")
