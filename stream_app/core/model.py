"""The serving model: one immutable snapshot, ready to place customers in segments.

A customer's coordinates are the transformed features, robustly scaled, clipped and weighted
(``Scaling``). While a customer is silent only the first coordinate, recency, moves; so the instant
at which another segment wins has a closed form (see ``SegmentModel.next_change``).

Everything is computed for n customers together, and the same for each of them however many they
are: only operations on single elements, and sums over the d coordinates of each.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.contracts import ModelSnapshot, Scaling, Segment
from stream_app.core.features import RECENCY, FeatureSet
from stream_app.core.folds import DAY_MS
from stream_app.core.snapshots import UnknownFeatureSetError, check

NEVER_DAYS = 36_500.0
NOWHERE = -1
LINE = 1e-12

Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]


class Axes:
    """The scaled axes of a model; ``Scaling`` as arrays."""

    def __init__(self, scaling: Scaling) -> None:
        self._centre, self._scale = np.array(scaling.centre), np.array(scaling.scale)
        self._weight, self._clip = np.array(scaling.weight), scaling.clip

    def coordinates(self, transformed: Matrix) -> Matrix:
        """Scale a (n, d) matrix of transformed features to (n, d) coordinates, no unit."""
        centred = (transformed - self._centre) / self._scale
        clipped = np.maximum(np.minimum(centred, self._clip), -self._clip)
        return np.asarray(clipped * self._weight)


def coordinates(transformed: Matrix, scaling: Scaling) -> Matrix:
    """Scale a (n, d) matrix of transformed features to (n, d) coordinates, no unit."""
    return Axes(scaling).coordinates(transformed)


class Spots(NamedTuple):
    """Customers among the centres: scaled ``points`` (n, d), ``distances`` to centres (n, k)."""

    points: Matrix
    distances: Matrix


class Placements(NamedTuple):
    """Where n customers belong; arrays of shape (n,).

    ``segment`` is an index into the snapshot's segments. ``margin``: 1 minus the distance to the
    new centre over the distance to the old one. ``held``: another centre is nearer, but not by
    the required margin.
    """

    segment: Indices
    margin: Matrix
    held: NDArray[np.bool_]


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
        self._keep = 1 - margin
        self._centres = np.array(snapshot.centres, dtype=np.float64)
        self._axes = Axes(snapshot.scaling)
        self._index = {segment.id: i for i, segment in enumerate(snapshot.segments)}

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
        """Measure the Euclidean distance of (n, d) scaled points to every centre."""
        apart = points[:, None, :] - self._centres
        return Spots(points, np.sqrt((apart * apart).sum(axis=2)))

    def place(self, spots: Spots, own: Indices) -> Placements:
        """Decide with hysteresis: leave ``own`` only for a centre nearer by the margin."""
        distances, rows = spots.distances, np.arange(len(own))
        nearest = distances.argmin(axis=1)
        least, known = distances[rows, nearest], own >= 0
        present = np.where(known, distances[rows, own], np.inf)
        leaves = least < self._keep * present
        held = (nearest != own) & ~leaves
        segment = np.where(leaves & (nearest != own), nearest, np.where(known, own, nearest))
        margin = np.where(leaves, 1 - least / np.where(present > 0, present, 1.0), 0.0)
        return Placements(segment, margin, held)

    def contributions(
        self, old: Indices, new: Indices, points: Matrix, former: Matrix | None = None
    ) -> Matrix:
        """How much each coordinate speaks for ``new`` against ``old``, (n, d); sums are d² − d².

        Against ``former`` points: how much more than there, which is linear in the way between.
        """
        a, b = self._centres[old], self._centres[new]
        if former is not None:
            return np.asarray(2 * (points - former) * (b - a))
        return np.asarray((points - a) ** 2 - (points - b) ** 2)

    def next_change(self, spots: Spots, current: Indices) -> Changes:
        """Find the silence after which another centre wins, everything else unchanged.

        With u the recency coordinate, o the own and c another centre, R the squared distance in
        all other coordinates and q = (1 − margin)², the other centre wins where
        q (R_o + (u − o)²) − (R_c + (u − c)²) > 0: a concave parabola in u, a line at margin 0.
        """
        rows, u = np.arange(len(current)), spots.points[:, :1]
        squared, axis = spots.distances**2, self._centres[:, 0]
        own = axis[current][:, None]
        rest = squared[rows, current][:, None] - (u - own) ** 2
        crossing = _first_win(u, self._keep**2, own, rest, axis, squared - (u - axis) ** 2)
        crossing[rows, current] = np.inf
        winner = crossing.argmin(axis=1)
        return Changes(self._silence(crossing[rows, winner]), winner)

    def _silence(self, coordinate: Matrix) -> Matrix:
        """Days of recency at a coordinate, infinite beyond the clip or a century."""
        scaling = self.snapshot.scaling
        centre, scale, weight = scaling.centre[0], scaling.scale[0], scaling.weight[0]
        inside = coordinate < scaling.clip * weight
        axis = np.where(inside, coordinate, 0.0) / (weight or 1.0) * scale + centre
        days = RECENCY.knee * np.expm1(np.minimum(axis, np.log1p(NEVER_DAYS)))
        return np.where(inside & (days < NEVER_DAYS), days, np.inf)


def due(silence: float, last: int, now: int) -> int:
    """Return the time (ms) of a next change, always after ``now``; 0 if there is none."""
    return max(now + 1, last + int(silence * DAY_MS) + 1) if silence < NEVER_DAYS else 0


def _first_win(
    u: Matrix, q: float, own: Matrix, rest: Matrix, axis: Matrix, other_rest: Matrix
) -> Matrix:
    """Smallest coordinates ≥ u (n, 1) at which other centres win, (n, k); infinite for never.

    Solves a x² + b x + e > 0 with a = q − 1 ≤ 0.
    """
    a = q - 1
    b = 2 * (axis - q * own)
    e = q * (rest + own * own) - other_rest - axis * axis
    with np.errstate(all="ignore"):
        if a > -LINE:
            root = np.where(b > 0, -e / b, np.inf)
        else:
            discriminant = b * b - 4 * a * e
            spread = np.sqrt(discriminant)  # not a number where there is no root: never ≥ u
            root = np.where(b > 0, 2 * e / (-b - spread), (-b + spread) / (2 * a))
            root = np.where((discriminant > 0) & (root >= u), root, np.inf)
    return np.where(a * u * u + b * u + e > 0, u, root)


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
