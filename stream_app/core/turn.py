"""One turn: events applied to customer states, in order, until they are written together."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

from stream_app.contracts import Reason
from stream_app.core.events import Erasure, Event, ProfileUpdate, Record, Rejected
from stream_app.core.features import FeatureSet
from stream_app.core.folds import (
    CustomerState,
    Order,
    fold_order,
    fold_profile,
    is_duplicate,
    remember,
)
from stream_app.core.messages import (
    Outgoing,
    change_message,
    dead_letter_message,
    erasure_message,
)
from stream_app.core.scoring import Case, stay
from stream_app.core.transitions import Judge

RUN_EVENTS = 32


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

    def take(self, records: Sequence[Record], events: Sequence[Event]) -> None:
        """Apply events in order, each as if it were the only one.

        Customers do not concern each other, so all are judged together in rounds: of each, what
        comes next, up to the first move.
        """
        cases: list[Case] = []
        for record, event in zip(records, events, strict=True):
            if isinstance(event, Rejected):
                self._reject(record, event)
            elif isinstance(event, Erasure):
                self._apply(cases)
                cases = []
                self._erase(event.customer_id)
            elif (case := self._step(record, event)) is not None:
                cases.append(case)
        self._apply(cases)

    def lapse(self, customers: Sequence[str]) -> None:
        """Let silence have its effect up to now, on each of different customers."""
        cases = self._buyers(customers)
        self._judge.catch_up(cases)
        self._emit(cases)

    def rescore(self, customers: Sequence[str]) -> None:
        """Judge again under the current model, each of different customers."""
        cases = self._buyers(customers)
        self._judge.catch_up(cases)
        if self._judge.models:
            self.counts["held"] += self._judge.judge([case for case in cases if case.state.orders])
        self._emit(cases)

    def _step(self, record: Record, event: Order | ProfileUpdate) -> Case | None:
        """Fold the event and note when it has its effect; None if it is a duplicate."""
        customer = event.customer_id
        before, cause = self._known(customer), Reason.PROFILE
        if isinstance(event, Order):
            if is_duplicate(before, event.event_id):
                self.counts["duplicate"] += 1
                return None
            self.clock = max(self.clock, event.at)
            cause = Reason.REFUND if event.refund else Reason.PURCHASE
        state = self.states[customer] = copy(before)
        self._fold(state, event)
        return Case(customer, state, self.now, cause, record, before=before)

    def _fold(self, state: CustomerState, event: Order | ProfileUpdate) -> None:
        if isinstance(event, Order):
            remember(state, event.event_id)
            fold_order(state, event, self.rules.features.half_life_ms)
            changed = True
        else:
            changed = fold_profile(state, event.profile)
        self.counts["applied" if changed else "duplicate"] += 1

    def _apply(self, cases: Sequence[Case]) -> None:
        """Let lapses, then the event, have their effect in each case; emit moves in order."""
        waiting: dict[str, list[Case]] = {}
        for case in cases:
            if case.state.orders:
                waiting.setdefault(case.customer_id, []).append(case)
        while waiting and self._judge.models:
            runs = [self._run(chain) for chain in waiting.values()]
            judged = self._judge.judge_runs(runs)
            self.counts["held"] += judged.held
            for chain, run, length in zip(waiting.values(), runs, judged.lengths, strict=True):
                if run[0] is chain[0]:
                    del chain[:length]
                if chain:
                    stay(chain[0])
            waiting = {customer: chain for customer, chain in waiting.items() if chain}
        self._emit(cases)

    def _run(self, chain: Sequence[Case]) -> Sequence[Case]:
        """Return what is to be judged next of a customer: a lapse, or the next events."""
        if lapse := self._judge.lapse(chain[0]):
            return [lapse]
        run = chain[:RUN_EVENTS]
        for n, case in enumerate(run):
            if n:
                stay(case)
            if case.before and case.before.segment:
                case.former = case.before, case.at
        return run

    def _buyers(self, customers: Sequence[str]) -> list[Case]:
        now = self.now
        return [Case(c, self._known(c), now, Reason.MODEL) for c in customers]

    def _reject(self, record: Record, event: Rejected) -> None:
        self.counts["dead"] += 1
        self.rejected[record.offset] = event
        origin = (self._judge.topic, self._judge.partition)
        topic = self.rules.dead_letters
        self.outbox.append(dead_letter_message(topic, record, event, origin, self.wall))

    def _erase(self, customer_id: str) -> None:
        self.counts["applied"] += 1
        self._touched[customer_id] = None
        state = self.states.get(customer_id)
        if state is not None:
            self.outbox.append(erasure_message(self.rules.changes, customer_id))
            self._resize(state.segment, -1)
        self.states[customer_id] = None

    def _known(self, customer_id: str) -> CustomerState:
        state = self.states.get(customer_id)
        if state is None:
            state = self.states[customer_id] = CustomerState()
        self._touched[customer_id] = None
        return state

    def _emit(self, cases: Sequence[Case]) -> None:
        moves = [move for case in cases for move in case.moves]
        self.outbox += [change_message(self.rules.changes, move) for move in moves]
        self.moves.update([move.reason for move in moves])
        for segment, count in Counter([move.current.id for move in moves]).items():
            self._resize(segment, count)
        for segment, count in Counter([m.previous.id for m in moves if m.previous]).items():
            self._resize(segment, -count)

    def _resize(self, segment_id: int, by: int) -> None:
        """Keep count of the customers in each segment."""
        if segment_id:
            self.counts[f"segment:{segment_id}"] += by
