"""From a customer's state to a move between segments, with its reason and its drivers.

``Judge.judge`` places a customer at one instant; ``Judge.catch_up`` first lets every lapse happen
that silence has already brought, each at its own instant. Both update the customer's place in the
model in the given state.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from stream_app.contracts import (
    Driver,
    Facts,
    NextChange,
    Reason,
    SegmentChanged,
    SegmentRef,
    Source,
)
from stream_app.core.events import Record, to_datetime
from stream_app.core.features import recency_days
from stream_app.core.folds import MICROS, CustomerState
from stream_app.core.model import Models, Placement, SegmentModel

MAX_DRIVERS = 3
MAX_LAPSES = 32
TOP_CATEGORIES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of judging once: the move, if any, and whether hysteresis held one back."""

    move: SegmentChanged | None
    held: bool


@dataclass(frozen=True, slots=True)
class _Scored:
    """A customer scored at one instant. ``before``: the former vector, where there was one."""

    model: SegmentModel
    vector: Sequence[float]
    point: Sequence[float]
    placement: Placement
    before: Sequence[float] | None
    record: Record | None


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges customers of one partition under one model version. Times in ms.

    ``topic`` is where the records come from, ``home`` (default: the same) the topic named as
    source where no record is the cause; ``serial`` numbers the moves of this epoch.
    """

    models: Models
    epoch: int
    emitted: int
    topic: str
    partition: int
    replay: bool
    home: str | None = None
    serial: Iterator[int] = field(default_factory=lambda: count(1))

    def judge(
        self,
        customer_id: str,
        state: CustomerState,
        at: int,
        cause: Reason,
        before: Sequence[float] | None = None,
        record: Record | None = None,
    ) -> Verdict:
        """Place the customer at ``at`` under the current model and record the place in the state.

        ``before`` is the vector (natural units) the customer had until now, ``record`` what
        caused the change. The state must hold a purchase.
        """
        model = self.models.current
        vector = model.features.vector(state, at)
        point = model.coordinates(vector)
        own = model.index(state.segment)
        placement = model.place(point, own)
        reason = _reason(state, at, cause, self.models)
        state.model = model.version
        if placement.segment == own:
            state.due = model.due(point, own, state.last, at) or 0
            return Verdict(None, placement.held)
        scored = _Scored(model, vector, point, placement, before, record)
        return Verdict(self._move(customer_id, state, at, reason, scored), held=False)

    def catch_up(self, customer_id: str, state: CustomerState, until: int) -> list[SegmentChanged]:
        """Let every lapse up to ``until`` happen, each at its own instant, in order."""
        moves: list[SegmentChanged] = []
        for _ in range(MAX_LAPSES):
            if not state.due or state.due > until:
                break
            features = self.models.current.features
            before = features.vector(state, max(state.last, state.entered))
            verdict = self.judge(customer_id, state, state.due, Reason.LAPSE, before)
            if verdict.move:
                moves.append(verdict.move)
        return moves

    def _move(
        self, customer_id: str, state: CustomerState, at: int, reason: Reason, scored: _Scored
    ) -> SegmentChanged:
        """Enter the new segment and describe the move."""
        model, point = scored.model, scored.point
        target = model.segments[scored.placement.segment]
        previous = SegmentRef(id=state.segment, name=state.segment_name) if state.segment else None
        drivers = _drivers(scored, state.segment)
        state.segment, state.segment_name, state.entered = target.id, target.name, at
        state.sequence += 1
        state.due = model.due(point, scored.placement.segment, state.last, at) or 0
        return SegmentChanged(
            id=f"{self.partition}-{self.epoch}-{next(self.serial)}",
            customer_id=customer_id,
            epoch=self.epoch,
            sequence=state.sequence,
            previous=previous,
            current=SegmentRef(id=target.id, name=target.name),
            reason=reason,
            occurred_at=to_datetime(at),
            emitted_at=to_datetime(self.emitted),
            model_version=model.version,
            margin=round(scored.placement.margin, 4),
            drivers=drivers,
            facts=facts(state, at),
            next_change=next_change(state, model, point),
            source=self._source(scored.record),
            replay=self.replay,
        )

    def _source(self, record: Record | None) -> Source:
        if record is None:
            return Source(topic=self.home or self.topic, partition=self.partition)
        return Source(
            topic=self.topic,
            partition=self.partition,
            offset=record.offset,
            published_at=_published(record),
        )


def _published(record: Record) -> datetime | None:
    """When the sender says it was published; None where that is no date: Kafka takes any number."""
    try:
        return to_datetime(record.timestamp)
    except OverflowError:
        return None


def _reason(state: CustomerState, at: int, cause: Reason, models: Models) -> Reason:
    """Tell a customer who moved from a boundary that moved, by asking the previous model."""
    if not state.segment:
        return Reason.INITIAL
    if state.model == models.current.version:
        return cause
    previous = models.get(state.model)
    if cause is Reason.MODEL or previous is None:
        return Reason.MODEL
    point = previous.coordinates(previous.features.vector(state, at))
    own = previous.index(state.segment)
    return cause if previous.place(point, own).segment != own else Reason.MODEL


def _drivers(scored: _Scored, old_id: int) -> tuple[Driver, ...]:
    """Rank the features by how much their change spoke for the new centre against the old one."""
    new = scored.placement.segment
    profile = scored.model.segments[new].profile
    before = scored.before or (scored.vector if old_id else None)
    gain = _gain(scored, old_id, new)
    ranked = sorted((i for i, g in enumerate(gain) if g > 0), key=lambda i: -gain[i])
    return tuple(
        Driver(
            feature=feature.name,
            unit=feature.unit,
            before=None if before is None else before[i],
            after=scored.vector[i],
            typical=profile[feature.name],
        )
        for i in ranked[:MAX_DRIVERS]
        for feature in (scored.model.features.features[i],)
    )


def _gain(scored: _Scored, old_id: int, new: int) -> list[float]:
    """How much each feature spoke for ``new``.

    Without a former place the runner-up centre stands in for the old one; without a former vector
    (a first assignment, a new model) the present values count.
    """
    model = scored.model
    old = model.index(old_id)
    if old is None:
        distances = model.squared_distances(scored.point)
        others = (i for i in range(len(distances)) if i != new)
        old = min(others, key=distances.__getitem__, default=new)
    gain = model.contributions(old, new, scored.point)
    if scored.before is None:
        return gain
    former = model.contributions(old, new, model.coordinates(scored.before))
    return [now - then for now, then in zip(gain, former, strict=True)]


def facts(state: CustomerState, at: int) -> Facts:
    """Summarise the customer at ``at`` (ms) for a campaign."""
    top = sorted(state.categories, key=lambda name: (-state.categories[name], name))
    spend = state.spend / MICROS
    return Facts(
        recency_days=round(recency_days(state, at), 4),
        orders=state.orders,
        spend=round(spend, 6),
        average_basket=round(spend / state.orders, 6) if state.orders else 0.0,
        top_categories=tuple(top[:TOP_CATEGORIES]),
    )


def next_change(
    state: CustomerState, model: SegmentModel, point: Sequence[float]
) -> NextChange | None:
    """Where silence takes the customer next, if the state is judged and has a due time."""
    current = model.index(state.segment)
    change = model.next_change(point, current) if state.due and current is not None else None
    if change is None:
        return None
    winner = model.segments[change[1]]
    return NextChange(at=to_datetime(state.due), segment=SegmentRef(id=winner.id, name=winner.name))
