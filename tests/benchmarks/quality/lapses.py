"""Lapse instants against brute force: everybody judged again at every hour of event time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.contracts import Reason, SegmentChanged
from stream_app.core.events import to_ms
from stream_app.core.folds import DAY_MS, CustomerState, Order, fold_order
from stream_app.core.model import NOWHERE, SegmentModel
from stream_app.pipeline import Chunk
from tests.benchmarks.quality.population import Matrix, scaled, transform
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row

HOUR_MS = 3_600_000


class Lapse(NamedTuple):
    """A customer's move by silence; segments by id, time in ms."""

    customer: str
    old: int
    new: int
    at: int


class Lapses(Observer):
    """Keeps the lapses that the pipeline publishes from ``begin`` on."""

    places = True

    def __init__(self) -> None:
        self.found: list[Lapse] = []

    def moved(self, replay: Replay, moves: Sequence[SegmentChanged], chunk: Chunk | None) -> None:  # noqa: ARG002
        """Note the lapses."""
        self.found += [
            Lapse(m.customer_id, m.previous.id, m.current.id, to_ms(m.occurred_at))
            for m in moves
            if m.reason is Reason.LAPSE and m.previous
        ]

    def findings(self, replay: Replay) -> Findings:  # noqa: ARG002
        """Nothing by itself."""
        return Findings()


class BruteForce:
    """Knows only how a vector is made and when one centre is nearer than another by the margin.

    ``states`` are judged by ``model`` already and belong to this object; the present is ``now``
    (ms). Orders must come in time order.
    """

    def __init__(
        self, states: Mapping[str, CustomerState], model: SegmentModel, now: int, margin: float
    ) -> None:
        self._model, self._now, self._keep = model, now, (1 - margin) ** 2
        self._states = dict(states)
        self._ids = list(self._states)
        self._rows = {customer: i for i, customer in enumerate(self._ids)}
        self._vectors = [list(model.features.vector(s, s.last)) for s in self._states.values()]
        self._since = [now] * len(self._ids)
        self._centres = np.array(model.snapshot.centres)
        self.found: list[Lapse] = []

    def order(self, order: Order) -> None:
        """Let time pass up to an order, count it and judge its customer."""
        while self._now + HOUR_MS < order.at:
            self.advance(self._now + HOUR_MS)
        state = self._states.setdefault(order.customer_id, CustomerState())
        row = self._rows.setdefault(order.customer_id, len(self._ids))
        if row == len(self._ids):
            self._ids.append(order.customer_id)
            self._vectors.append([])
            self._since.append(order.at)
        else:
            self._lapse(row, order.at)
        fold_order(state, order, self._model.features.half_life_ms)
        self._vectors[row] = list(self._model.features.vector(state, state.last))
        state.segment = self._model.segments[self._place(row, order.at)].id
        self._since[row] = order.at

    def advance(self, until: int) -> None:
        """Judge everybody at ``until`` (ms)."""
        for row in np.flatnonzero(self._would_move(until)).tolist():
            self._lapse(row, until)
        self._now = until

    def _would_move(self, at: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        states = self._states.values()
        vectors = np.array(self._vectors)
        vectors[:, 0] = (at - np.array([state.last for state in states])) / DAY_MS
        points = scaled(transform(vectors, self._model.features), self._model.snapshot.scaling)
        squared = _squared(points, self._centres)
        own = squared[np.arange(len(points)), [self._index(state) for state in states]]
        return np.asarray(squared.min(axis=1) < self._keep * own)

    def _lapse(self, row: int, until: int) -> None:
        """Note every move of one customer up to ``until``, to the millisecond."""
        state = self._states[self._ids[row]]
        while self._place(row, until) != self._index(state):
            low, high = self._since[row], until
            while high - low > 1:
                middle = (low + high) // 2
                if self._place(row, middle) == self._index(state):
                    low = middle
                else:
                    high = middle
            new = self._model.segments[self._place(row, high)].id
            self.found.append(Lapse(self._ids[row], state.segment, new, high))
            state.segment, self._since[row] = new, high

    def _place(self, row: int, at: int) -> int:
        state = self._states[self._ids[row]]
        vector = [max(0, at - state.last) / DAY_MS, *self._vectors[row][1:]]
        spots, own = self._model.locate(np.array([vector])), self._model.indices([state.segment])
        return int(self._model.place(spots, own).segment[0])

    def _index(self, state: CustomerState) -> int:
        index = self._model.index(state.segment)
        if index == NOWHERE:
            raise LookupError(f"segment {state.segment} is not in the model")
        return index


def _squared(points: Matrix, centres: Matrix) -> Matrix:
    return np.asarray(((points[:, None, :] - centres[None]) ** 2).sum(axis=2))


def agreement(ours: Sequence[Lapse], brute: Sequence[Lapse]) -> tuple[float, float]:
    """Part of all lapses that both found, and the greatest difference of their instants (s).

    A customer's first lapse is compared with their first, the second with the second.
    """
    one, other = _numbered(ours), _numbered(brute)
    both = one.keys() & other.keys()
    apart = max((abs(one[key] - other[key]) / 1000 for key in both), default=0.0)
    return len(both) / max(1, len(one.keys() | other.keys())), apart


def _numbered(lapses: Sequence[Lapse]) -> dict[tuple[str, int, int, int], int]:
    seen: Counter[str] = Counter()
    numbered = {}
    for lapse in lapses:
        seen[lapse.customer] += 1
        numbered[lapse.customer, seen[lapse.customer], lapse.old, lapse.new] = lapse.at
    return numbered


def rows_of(ours: Sequence[Lapse], brute: Sequence[Lapse], data: str, seed: int) -> Findings:
    """Everything is to be found by both, within a second."""
    same, apart = agreement(ours, brute)
    where = (data, seed)
    return Findings(
        [
            Row("lapses", "part of the lapses that both found", *where, same, Bar("==", 1)),
            Row("lapses", "greatest difference of instants, s", *where, apart, Bar("<=", 1)),
            Row("lapses", "lapses by brute force", *where, len(brute)),
        ]
    )
