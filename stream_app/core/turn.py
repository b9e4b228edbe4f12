"""One turn: events applied to customer states, in order, until they are written together."""

from collections import Counter, deque
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
from stream_app.core.scoring import Case
from stream_app.core.transitions import Judge

Step = tuple[Case, Order | ProfileUpdate]


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

        Customers do not concern each other, so all are judged together in rounds: of each, whatever
        comes next.
        """
        steps: list[Step] = []
        for record, event in zip(records, events, strict=True):
            if isinstance(event, Rejected):
                self._reject(record, event)
            elif isinstance(event, Erasure):
                self._apply(steps)
                steps = []
                self._erase(event.customer_id)
            elif (step := self._step(record, event)) is not None:
                steps.append(step)
        self._apply(steps)

    def lapse(self, customers: Sequence[str]) -> None:
        """Let silence have its effect up to now, on each of different customers."""
        cases = self._buyers(customers)
        self._judge.catch_up(cases)
        self._emit(cases)

    def rescore(self, customers: Sequence[str]) -> None:
        """Judge again under the current model, each of different customers."""
        cases = self._buyers(customers)
        self._judge.catch_up(cases)
        self._place(cases)
        self._emit(cases)

    def _step(self, record: Record, event: Order | ProfileUpdate) -> Step | None:
        """Note when the event has its effect; None if it is a duplicate."""
        state, cause = self._known(event.customer_id), Reason.PROFILE
        if isinstance(event, Order):
            if is_duplicate(state, event.event_id):
                self.counts["duplicate"] += 1
                return None
            remember(state, event.event_id)
            self.clock = max(self.clock, event.at)
            cause = Reason.REFUND if event.refund else Reason.PURCHASE
        return Case(event.customer_id, state, self.now, cause, record), event

    def _apply(self, steps: Sequence[Step]) -> None:
        """Let lapses, then the event, have their effect in each step; emit moves in order."""
        waiting: dict[str, deque[Step]] = {}
        for step in steps:
            waiting.setdefault(step[0].customer_id, deque()).append(step)
        while waiting:
            self._place([self._advance(chain) for chain in waiting.values()])
            waiting = {customer: chain for customer, chain in waiting.items() if chain}
        self._emit([case for case, _ in steps])

    def _advance(self, chain: deque[Step]) -> Case:
        """Return what is to be judged next of a customer: a lapse, or the next event, folded."""
        case, event = chain[0]
        if self._judge.models and (lapse := self._judge.lapse(case)):
            return lapse
        self._fold(case, event)
        chain.popleft()
        return case

    def _fold(self, case: Case, event: Order | ProfileUpdate) -> None:
        state = case.state
        if state.segment and state.orders:
            case.former = copy(state), case.at
        if isinstance(event, Order):
            fold_order(state, event, self.rules.features.half_life_ms)
            changed = True
        else:
            changed = fold_profile(state, event.profile)
        self.counts["applied" if changed else "duplicate"] += 1

    def _place(self, cases: Sequence[Case]) -> None:
        if self._judge.models:
            bought = [case for case in cases if case.state.orders]
            self.counts["held"] += self._judge.judge(bought)

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
