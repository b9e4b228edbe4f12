"""From customers' states to moves between segments, each with its reason and its drivers.

``Judge.judge`` places customers, each at one instant, and notes it in their states. ``Judge.lapse``
tells which lapse silence has brought before that: it is judged first, at its own instant;
``Judge.catch_up`` does so with all there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np

from stream_app import contracts
from stream_app.contracts import Reason
from stream_app.core.events import Record, to_datetime
from stream_app.core.folds import DAY_MS, MICROS, CustomerState
from stream_app.core.model import NOWHERE, Models, SegmentModel, due
from stream_app.core.plain import plain
from stream_app.core.scoring import Case, Scored, drivers_of, reasons_of, score

SegmentChanged = plain(contracts.SegmentChanged)
SegmentRef = plain(contracts.SegmentRef)
Facts = plain(contracts.Facts)
NextChange = plain(contracts.NextChange)
Source = plain(contracts.Source)
MAX_LAPSES = 32
TOP_CATEGORIES = 3


class Judged(NamedTuple):
    """How many cases of each run are judged, and how many of their moves hysteresis held back."""

    lengths: Sequence[int]
    held: int


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

    def judge(self, cases: Sequence[Case]) -> int:
        """Place customers, each another one; return how many moves hysteresis held back."""
        return self.judge_runs([[case] for case in cases]).held

    def judge_runs(self, runs: Sequence[Sequence[Case]]) -> Judged:
        """Place different customers, each at some successive events of theirs.

        All cases are scored together, as if every customer stayed in the same segment. So of each
        run those after the first move, or after an effect of silence, remain to be judged.
        """
        cases = [case for run in runs for case in run]
        if not cases:
            return Judged([0 for _ in runs], 0)
        scored = score(self.models.current, cases)
        moves = scored.placed.segment != scored.own
        for run in runs:
            for case in run[1:]:
                case.state.model = scored.model.version
        changed = np.flatnonzero(moves).tolist()
        reasons = dict(zip(changed, reasons_of(scored, changed, self.models), strict=True))
        lengths, valid = _settle(runs, scored, moves.tolist())
        if moved := [i for i in changed if valid[i]]:
            self._move(scored, moved, [reasons[i] for i in moved])
        return Judged(lengths, int(np.count_nonzero(scored.placed.held & valid)))

    def lapse(self, case: Case) -> Case | None:
        """Return the lapse that comes before the case, if there is one, as a case of its own."""
        state = case.before or case.state
        if not 0 < state.due <= case.at or case.lapses == MAX_LAPSES:
            return None
        case.lapses += 1
        former = state, max(state.last, state.entered)
        return Case(
            case.customer_id, state, state.due, Reason.LAPSE, former=former, moves=case.moves
        )

    def catch_up(self, cases: Sequence[Case]) -> None:
        """Let every lapse up to the time of each case happen, in order."""
        while lapses := [lapse for case in cases if (lapse := self.lapse(case))]:
            self.judge(lapses)

    def _move(self, scored: Scored, moved: Sequence[int], reasons: Sequence[Reason]) -> None:
        """Enter the new segments and describe the moves."""
        all_drivers = drivers_of(scored, moved)
        margins, winners = scored.placed.margins(moved), scored.changes.winner.tolist()
        placed, segments = scored.placed.segment.tolist(), scored.model.segments
        emitted = to_datetime(self.emitted)
        for i, reason, drivers, margin in zip(moved, reasons, all_drivers, margins, strict=True):
            case, target = scored.cases[i], segments[placed[i]]
            state = case.state
            former = _ref(state.segment, state.segment_name) if state.segment else None
            state.segment, state.segment_name, state.entered = target.id, target.name, case.at
            state.sequence += 1
            change = SegmentChanged(
                id=f"{self.partition}-{self.epoch}-{next(self.serial)}",
                customer_id=case.customer_id,
                epoch=self.epoch,
                sequence=state.sequence,
                previous=former,
                current=_ref(target.id, target.name),
                reason=reason,
                occurred_at=to_datetime(case.at),
                emitted_at=emitted,
                model_version=scored.model.version,
                margin=round(margin, 4),
                drivers=drivers,
                facts=facts(state, case.at),
                next_change=_next_change(scored.model, winners[i], state.due),
                source=self._source(case.record),
                replay=self.replay,
            )
            case.moves.append(change)

    def _source(self, record: Record | None) -> contracts.Source:
        if record is None:
            return Source(topic=self.home or self.topic, partition=self.partition)
        return Source(
            topic=self.topic,
            partition=self.partition,
            offset=record.offset,
            published_at=_published(record),
        )


def _settle(
    runs: Sequence[Sequence[Case]], scored: Scored, moves: Sequence[bool]
) -> tuple[list[int], list[bool]]:
    """Note in the states how they were judged, as far as each run goes without a change.

    Returns how many cases of each run that are, and for each case whether it is one of them.
    """
    silences, version = scored.changes.silence.tolist(), scored.model.version
    lengths, valid = [], [False] * len(moves)
    start = 0
    for run in runs:
        due_at = length = 0
        for i, case in enumerate(run, start):
            if 0 < due_at <= case.at:
                break
            state, length, valid[i] = case.state, length + 1, True
            state.model = version
            state.due = due_at = due(silences[i], state.last, case.at)
            if moves[i]:
                break
        lengths.append(length)
        start += len(run)
    return lengths, valid


@lru_cache(1024)
def _ref(segment_id: int, name: str) -> contracts.SegmentRef:
    return SegmentRef(id=segment_id, name=name)


def _published(record: Record) -> datetime | None:
    """When the sender says it was published; None where that is no date: Kafka takes any number."""
    try:
        return to_datetime(record.timestamp)
    except OverflowError:
        return None


def facts(state: CustomerState, at: int) -> contracts.Facts:
    """Summarise the customer at ``at`` (ms) for a campaign."""
    top = sorted([(-spent, name) for name, spent in state.categories.items()])
    spend = state.spend / MICROS
    return Facts(
        recency_days=round(max(0, at - state.last) / DAY_MS, 4),
        orders=state.orders,
        spend=spend,
        average_basket=round(spend / state.orders, 6) if state.orders else 0.0,
        top_categories=tuple([name for _, name in top[:TOP_CATEGORIES]]),
    )


def next_change(
    state: CustomerState, model: SegmentModel, vector: Sequence[float]
) -> contracts.NextChange | None:
    """Where silence takes the customer next, if the state is judged and has a due time."""
    current = model.indices([state.segment])
    if not state.due or current[0] == NOWHERE:
        return None
    change = model.next_change(model.locate(np.array([vector])), current)
    never = not np.isfinite(change.silence[0])
    return None if never else _next_change(model, int(change.winner[0]), state.due)


def _next_change(model: SegmentModel, winner: int, at: int) -> contracts.NextChange | None:
    if not at:
        return None
    segment = model.segments[winner]
    return NextChange(at=to_datetime(at), segment=_ref(segment.id, segment.name))
