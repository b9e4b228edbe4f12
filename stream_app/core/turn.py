"""One turn: events applied to customer states, in order, until they are written together."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from stream_app.contracts import Reason, SegmentChanged
from stream_app.core.events import Erasure, Event, ProfileUpdate, Record, Rejected
from stream_app.core.features import FeatureSet
from stream_app.core.folds import CustomerState, Order, fold_order, fold_profile, is_duplicate
from stream_app.core.messages import (
    Outgoing,
    change_message,
    dead_letter_message,
    erasure_message,
)
from stream_app.core.transitions import Former, Judge, Verdict


@dataclass(frozen=True, slots=True)
class Rules:
    """What is the same for every turn.

    ``event_clock``: now is the highest event time, and moves are replay. ``history``: they are
    replay by any clock.
    """

    features: FeatureSet
    event_clock: bool
    changes: str
    dead_letters: str
    history: bool = False


class Turn:
    """Applies events to states and collects what the write will contain.

    ``states`` maps the customers concerned to their stored states, None where unknown; they are
    changed in place. ``clock`` is the partition's highest event time, ``wall`` the present (ms).
    """

    def __init__(
        self,
        rules: Rules,
        judge: Judge,
        states: Mapping[str, CustomerState | None],
        clock: int,
        wall: int,
    ) -> None:
        self.rules = rules
        self.clock = clock
        self.wall = wall
        self.states = dict(states)
        self.outbox: list[Outgoing] = []
        self.counts: Counter[str] = Counter()
        self.moves: Counter[Reason] = Counter()
        self.rejected: dict[int, Rejected] = {}
        self._judge = judge
        self._touched: dict[str, None] = {}

    @property
    def now(self) -> int:
        """The time at which customers are judged, in ms."""
        return self.clock if self.rules.event_clock else self.wall

    def written(self) -> Iterator[tuple[str, CustomerState | None]]:
        """Yield the customers to write, with their states; None erases."""
        return ((customer, self.states[customer]) for customer in self._touched)

    def take(self, record: Record, event: Event) -> None:
        """Apply one event."""
        match event:
            case Order():
                self._order(record, event)
            case ProfileUpdate():
                self._profile(record, event)
            case Erasure():
                self._erase(event.customer_id)
            case Rejected():
                self.counts["dead"] += 1
                self.rejected[record.offset] = event
                origin = (self._judge.topic, self._judge.partition)
                topic = self.rules.dead_letters
                self.outbox.append(dead_letter_message(topic, record, event, origin, self.wall))

    def _order(self, record: Record, order: Order) -> None:
        state = self._known(order.customer_id)
        if is_duplicate(state, order.event_id):
            self.counts["duplicate"] += 1
            return
        self.counts["applied"] += 1
        self.clock = max(self.clock, order.at)
        former = self._settle(order.customer_id, state)
        fold_order(state, order, self.rules.features.half_life_ms)
        reason = Reason.REFUND if order.refund else Reason.PURCHASE
        self._place(order.customer_id, state, reason, former, record)

    def _profile(self, record: Record, update: ProfileUpdate) -> None:
        state = self._known(update.customer_id)
        former = self._settle(update.customer_id, state)
        changed = fold_profile(state, update.profile)
        self.counts["applied" if changed else "duplicate"] += 1
        self._place(update.customer_id, state, Reason.PROFILE, former, record)

    def _erase(self, customer_id: str) -> None:
        self.counts["applied"] += 1
        self._touched[customer_id] = None
        state = self.states.get(customer_id)
        if state is not None:
            self.outbox.append(erasure_message(self.rules.changes, customer_id))
            self._resize(state.segment, -1)
        self.states[customer_id] = None

    def lapse(self, customer_id: str) -> None:
        """Let silence have its effect up to now."""
        state = self._known(customer_id)
        self._settle(customer_id, state)

    def rescore(self, customer_id: str) -> None:
        """Judge again under the current model."""
        state = self._known(customer_id)
        self._settle(customer_id, state)
        self._place(customer_id, state, Reason.MODEL, None, None)

    def _known(self, customer_id: str) -> CustomerState:
        state = self.states.get(customer_id)
        if state is None:
            state = self.states[customer_id] = CustomerState()
        self._touched[customer_id] = None
        return state

    def _settle(self, customer_id: str, state: CustomerState) -> Former | None:
        """Emit the lapses until now; return the customer as they are before the event."""
        if not self._judge.models or not state.orders:
            return None
        for move in self._judge.catch_up(customer_id, state, self.now):
            self._emit(move)
        return Former(msgspec.structs.replace(state), self.now) if state.segment else None

    def _place(
        self,
        customer_id: str,
        state: CustomerState,
        cause: Reason,
        former: Former | None,
        record: Record | None,
    ) -> None:
        if not self._judge.models or not state.orders:
            return
        verdict: Verdict = self._judge.judge(customer_id, state, self.now, cause, former, record)
        self.counts["held"] += verdict.held
        if verdict.move:
            self._emit(verdict.move)

    def _emit(self, move: SegmentChanged) -> None:
        self.moves[move.reason] += 1
        self._resize(move.previous.id if move.previous else 0, -1)
        self._resize(move.current.id, +1)
        self.outbox.append(change_message(self.rules.changes, move))

    def _resize(self, segment_id: int, by: int) -> None:
        """Keep count of the customers in each segment."""
        if segment_id:
            self.counts[f"segment:{segment_id}"] += by
