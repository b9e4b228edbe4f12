"""From a customer's state to a move between segments, with its reason and its drivers.

``Judge.judge`` places a customer at one instant; ``Judge.catch_up`` first lets every lapse happen
that silence has already brought, each at its own instant. Both update the customer's place in the
model in the given state.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import NamedTuple

from stream_app import contracts
from stream_app.contracts import Reason
from stream_app.core.events import Record, to_datetime
from stream_app.core.features import recency_days
from stream_app.core.folds import MICROS, CustomerState
from stream_app.core.model import Models, Placement, SegmentModel, Spot, due
from stream_app.core.plain import plain

SegmentChanged = plain(contracts.SegmentChanged)
SegmentRef = plain(contracts.SegmentRef)
Driver = plain(contracts.Driver)
Facts = plain(contracts.Facts)
NextChange = plain(contracts.NextChange)
Source = plain(contracts.Source)
MAX_DRIVERS = 3
MAX_LAPSES = 32
TOP_CATEGORIES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of judging once: the move, if any, and whether hysteresis held one back."""

    move: contracts.SegmentChanged | None
    held: bool


class Former(NamedTuple):
    """A customer as they were until now, and the time (ms) at which that is to be looked at."""

    state: CustomerState
    at: int


@dataclass(frozen=True, slots=True)
class _Scored:
    """A customer scored at one instant. ``former``: as they were, where they had a place."""

    model: SegmentModel
    vector: Sequence[float]
    spot: Spot
    placement: Placement
    former: Former | None
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
        former: Former | None = None,
        record: Record | None = None,
    ) -> Verdict:
        """Place the customer at ``at`` under the current model and record the place in the state.

        ``former`` is the customer as they were until now, ``record`` what caused the change. The
        state must hold a purchase.
        """
        model = self.models.current
        vector = model.features.vector(state, at)
        spot = model.locate(vector)
        own = model.index(state.segment)
        placement = model.place(spot, own)
        if placement.segment == own:
            state.model = model.version
            state.due = due(model.next_change(spot, own), state.last, at)
            return Verdict(None, placement.held)
        reason = _reason(state, vector, cause, self.models)
        state.model = model.version
        scored = _Scored(model, vector, spot, placement, former, record)
        return Verdict(self._move(customer_id, state, at, reason, scored), held=False)

    def catch_up(
        self, customer_id: str, state: CustomerState, until: int
    ) -> list[contracts.SegmentChanged]:
        """Let every lapse up to ``until`` happen, each at its own instant, in order."""
        moves: list[contracts.SegmentChanged] = []
        for _ in range(MAX_LAPSES):
            if not state.due or state.due > until:
                break
            former = Former(state, max(state.last, state.entered))
            verdict = self.judge(customer_id, state, state.due, Reason.LAPSE, former)
            if verdict.move:
                moves.append(verdict.move)
        return moves

    def _move(
        self, customer_id: str, state: CustomerState, at: int, reason: Reason, scored: _Scored
    ) -> contracts.SegmentChanged:
        """Enter the new segment and describe the move."""
        model, spot = scored.model, scored.spot
        place = scored.placement.segment
        target = model.segments[place]
        previous = SegmentRef(id=state.segment, name=state.segment_name) if state.segment else None
        drivers = _drivers(scored, state.segment)
        state.segment, state.segment_name, state.entered = target.id, target.name, at
        state.sequence += 1
        change = model.next_change(spot, place)
        state.due = due(change, state.last, at)
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
            next_change=_next_change(model, change, state.due),
            source=self._source(scored.record),
            replay=self.replay,
        )

    def _source(self, record: Record | None) -> contracts.Source:
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


def _reason(state: CustomerState, vector: Sequence[float], cause: Reason, models: Models) -> Reason:
    """Tell a customer who moved from a boundary that moved, by asking the previous model."""
    if not state.segment:
        return Reason.INITIAL
    if state.model == models.current.version:
        return cause
    previous = models.get(state.model)
    if cause is Reason.MODEL or previous is None:
        return Reason.MODEL
    own = previous.index(state.segment)
    return cause if previous.place(previous.locate(vector), own).segment != own else Reason.MODEL


def _drivers(scored: _Scored, old_id: int) -> tuple[contracts.Driver, ...]:
    """Rank the features by how much their change spoke for the new centre against the old one."""
    new = scored.placement.segment
    profile = scored.model.segments[new].profile
    features, former = scored.model.features, scored.former
    then = features.vector(*former) if former else None
    before = then or (scored.vector if old_id else None)
    gain = _gain(scored, old_id, new, then)
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
        for feature in (features.features[i],)
    )


def _gain(scored: _Scored, old_id: int, new: int, then: Sequence[float] | None) -> list[float]:
    """How much each feature spoke for ``new``.

    Without a former place the runner-up centre stands in for the old one; without a former vector
    (a first assignment, a new model) the present values count.
    """
    model = scored.model
    old = model.index(old_id)
    if old is None:
        distances = scored.spot.distances
        others = (i for i in range(len(distances)) if i != new)
        old = min(others, key=distances.__getitem__, default=new)
    former = None if then is None else model.coordinates(then)
    return model.contributions(old, new, scored.spot.point, former)


def facts(state: CustomerState, at: int) -> contracts.Facts:
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
    state: CustomerState, model: SegmentModel, spot: Spot
) -> contracts.NextChange | None:
    """Where silence takes the customer next, if the state is judged and has a due time."""
    current = model.index(state.segment)
    change = model.next_change(spot, current) if state.due and current is not None else None
    return _next_change(model, change, state.due)


def _next_change(
    model: SegmentModel, change: tuple[float, int] | None, at: int
) -> contracts.NextChange | None:
    if change is None:
        return None
    winner = model.segments[change[1]]
    return NextChange(at=to_datetime(at), segment=SegmentRef(id=winner.id, name=winner.name))
