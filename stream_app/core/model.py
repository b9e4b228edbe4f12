"""The serving model: one immutable snapshot, ready to place customers in segments.

A customer's coordinates are the transformed features, robustly scaled, clipped and weighted
(``Scaling``). While a customer is silent only the first coordinate, recency, moves; so the instant
at which another segment wins has a closed form (see ``SegmentModel.next_change``).

Everything is computed for n customers together, and the same for each of them however many they
are: only operations on single elements, and sums over the d coordinates of each.
"""

from collections.abc import Sequence
from math import log1p
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.contracts import ModelSnapshot, Scaling, Segment
from stream_app.core.features import RECENCY, FeatureSet
from stream_app.core.folds import DAY_MS
from stream_app.core.snapshots import UnknownFeatureSetError, check

NEVER_DAYS = 36_500.0
NOWHERE = -1

Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]


class Axes:
    """The scaled axes of a model; ``Scaling`` as arrays."""

    def __init__(self, scaling: Scaling) -> None:
        weight = np.array(scaling.weight)
        self._centre = np.array(scaling.centre)
        self._factor = weight / np.array(scaling.scale)
        self._most = scaling.clip * weight

    def coordinates(self, transformed: Matrix) -> Matrix:
        """Scale a (n, d) matrix of transformed features to (n, d) coordinates, no unit."""
        centred = (transformed - self._centre) * self._factor
        return np.asarray(np.maximum(np.minimum(centred, self._most), -self._most))


def coordinates(transformed: Matrix, scaling: Scaling) -> Matrix:
    """Scale a (n, d) matrix of transformed features to (n, d) coordinates, no unit."""
    return Axes(scaling).coordinates(transformed)


class Spots(NamedTuple):
    """Customers among the centres: ``points`` (n, d), ``squared`` distances to centres (n, k)."""

    points: Matrix
    squared: Matrix


class Placements(NamedTuple):
    """Where n customers belong; arrays of shape (n,).

    ``segment`` is an index into the snapshot's segments. ``least`` and ``present``: the squared
    distances to the nearest centre and to the own one, infinite without one. ``held``: another
    centre is nearer, but not by the required margin.
    """

    segment: Indices
    least: Matrix
    present: Matrix
    held: NDArray[np.bool_]

    def margins(self, moved: Sequence[int]) -> list[float]:
        """1 minus the distance to the new centre over the distance to the old one."""
        margins: list[float] = (1 - np.sqrt(self.least[moved] / self.present[moved])).tolist()
        return margins


class Changes(NamedTuple):
    """What silence does to n customers; arrays of shape (n,).

    ``silence``: the recency in days at which another centre wins, infinite for never; ``winner``:
    its index.
    """

    silence: Matrix
    winner: Indices


class SegmentModel:
    """One snapshot, compiled for scoring."""

    def __init__(self, snapshot: ModelSnapshot, features: FeatureSet, margin: float) -> None:
        if (snapshot.feature_set, snapshot.features) != (features.version, features.names):
            raise UnknownFeatureSetError(
                f"model {snapshot.version} is for feature set {snapshot.feature_set}, "
                f"this worker computes {features.version}"
            )
        check(snapshot)
        self.snapshot = snapshot
        self.features = features
        self._centres = np.array(snapshot.centres, dtype=np.float64)
        self._axes = Axes(snapshot.scaling)
        self._index = {segment.id: i for i, segment in enumerate(snapshot.segments)}
        self._keep = (1 - margin) ** 2
        self._turn = 2 * (self._keep - 1)
        axis = self._centres[:, 0]
        self._rise = 2 * (axis - self._keep * axis[:, None])
        self._day = _Days(snapshot.scaling)

    @property
    def version(self) -> int:
        """The snapshot's version."""
        return self.snapshot.version

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments, in the order of the centres."""
        return self.snapshot.segments

    def index(self, segment_id: int) -> int:
        """Return the index of a segment id, -1 if the segment does not exist (any more)."""
        return self._index.get(segment_id, NOWHERE)

    def indices(self, segment_ids: Sequence[int]) -> Indices:
        """Return the indices of segment ids, shape (n,)."""
        return np.array([self.index(segment_id) for segment_id in segment_ids], dtype=np.intp)

    def locate(self, vectors: Matrix) -> Spots:
        """Find (n, d) vectors in natural units among the centres."""
        return self.spots(self.points(vectors))

    def points(self, vectors: Matrix) -> Matrix:
        """Place (n, d) vectors in natural units on the scaled axes."""
        return self._axes.coordinates(self.features.transform_all(vectors))

    def spots(self, points: Matrix) -> Spots:
        """Measure the squared Euclidean distance of (n, d) scaled points to every centre."""
        apart = points[:, None, :] - self._centres
        return Spots(points, np.add.reduce(apart * apart, axis=2))

    def place(self, spots: Spots, own: Indices) -> Placements:
        """Decide with hysteresis: leave ``own`` only for a centre nearer by the margin."""
        squared, rows = spots.squared, np.arange(len(own))
        nearest = squared.argmin(axis=1)
        least = squared[rows, nearest]
        present = np.where(own >= 0, squared[rows, own], np.inf)
        segment = np.where(least < self._keep * present, nearest, own)
        return Placements(segment, least, present, segment != nearest)

    def contributions(
        self, old: Indices, new: Indices, points: Matrix, former: Matrix, known: NDArray[np.bool_]
    ) -> Matrix:
        """How much each coordinate speaks for ``new`` against ``old``, (n, d), more than before.

        Before is the ``former`` point where it is ``known``, else half way between both centres,
        where nothing speaks for either. The sums are the changes of d² − d².
        """
        a, b = self._centres[old], self._centres[new]
        before = np.where(known[:, None], former, (a + b) / 2)
        return np.asarray(2 * (points - before) * (b - a))

    def next_change(self, spots: Spots, current: Indices) -> Changes:
        """Find the silence after which another centre wins, everything else unchanged.

        With D the squared distances now, u, o and c the recency coordinates of the customer, the
        own and another centre and q = (1 − margin)², that one wins t further along the axis where
        (q D_o − D_c) + 2 ((q − 1) u + c − q o) t + (q − 1) t² > 0: a parabola that opens downwards,
        a line at margin 0.
        """
        rows, squared, u = np.arange(len(current)), spots.squared, spots.points[:, 0]
        lead = self._keep * squared[rows, current][:, None] - squared
        rise = self._turn * u[:, None] + self._rise[current]
        root = rise * rise - 2 * self._turn * lead
        crosses = (rise > 0) & (root > 0)
        below = rise + np.sqrt(np.maximum(root, 0.0))
        never = np.full(lead.shape, np.inf)
        further = np.divide(-2 * lead, below, out=never, where=crosses)
        further[lead > 0] = 0.0
        further[rows, current] = np.inf
        winner = further.argmin(axis=1)
        return Changes(self._day.silence(u + further[rows, winner]), winner)


class _Days:
    """Recency in days from its coordinate."""

    def __init__(self, scaling: Scaling) -> None:
        weight, scale = scaling.weight[0], scaling.scale[0]
        self._centre, self._stretch = scaling.centre[0], scale / weight if weight else 0.0
        never = (log1p(NEVER_DAYS / RECENCY.knee) - self._centre) * weight / scale
        self._reach = min(scaling.clip * weight, never)

    def silence(self, coordinate: Matrix) -> Matrix:
        """Days at (n,) coordinates, infinite beyond the clip or a century."""
        axis = np.minimum(coordinate, self._reach) * self._stretch + self._centre
        return np.where(coordinate < self._reach, RECENCY.knee * np.expm1(axis), np.inf)


def due(silence: float, last: int, now: int) -> int:
    """Return the time (ms) of a next change, always after ``now``; 0 if there is none."""
    return max(now + 1, last + int(silence * DAY_MS) + 1) if silence < NEVER_DAYS else 0


class Models:
    """The serving model and the few before it, to tell a moved boundary from a moved customer."""

    def __init__(self, keep: int = 8) -> None:
        self.keep = keep
        self._versions: dict[int, SegmentModel] = {}

    def __bool__(self) -> bool:
        return bool(self._versions)

    @property
    def current(self) -> SegmentModel:
        """The newest model; KeyError while there is none."""
        return self._versions[max(self._versions)]

    def get(self, version: int) -> SegmentModel | None:
        """Return an earlier model that is still kept."""
        return self._versions.get(version)

    def forget(self, after: int) -> None:
        """Drop the models with greater versions than ``after``: the store knows them no more."""
        self._versions = {v: model for v, model in self._versions.items() if v <= after}

    def add(self, model: SegmentModel) -> None:
        """Serve ``model`` if it is newer than the others; one of its version is replaced."""
        self._versions[model.version] = model
        while len(self._versions) > self.keep:
            del self._versions[min(self._versions)]
