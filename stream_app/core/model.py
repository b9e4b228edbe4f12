"""The serving model: one immutable snapshot, ready to place customers in segments.

A customer's coordinates are the transformed features, robustly scaled, clipped and weighted
(``Scaling``). While a customer is silent only the first coordinate, recency, moves; so the instant
at which another segment wins has a closed form (see ``SegmentModel.next_change``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, expm1, inf, sqrt
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from stream_app.contracts import ModelSnapshot, Scaling, Segment
from stream_app.core.features import RECENCY, FeatureSet
from stream_app.core.folds import DAY_MS

NEVER_DAYS = 36_500.0
SNAPSHOT_SCHEMA = 1

Matrix = NDArray[np.float64]


class SnapshotError(Exception):
    """A snapshot cannot be used; the message names its version and what is wrong with it."""


class UnknownFeatureSetError(SnapshotError):
    """The snapshot was made for other features than this worker computes; it must not score."""


def read_snapshot(value: bytes | str) -> ModelSnapshot:
    """Read a stored snapshot and check that it can score.

    Raises SnapshotError with one sentence: schema, field or shape that is wrong, and the version.
    """
    try:
        found = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"a model snapshot is not JSON: {error}") from None
    facts = found if isinstance(found, dict) else {}
    name, schema = f"model {facts.get('version', '?')}", facts.get("schema_version", 1)
    if schema != SNAPSHOT_SCHEMA:
        raise SnapshotError(f"{name} has schema {schema}; this program reads {SNAPSHOT_SCHEMA}")
    try:
        snapshot = ModelSnapshot.model_validate_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SnapshotError(f"{name} is malformed at {where}: {first['msg']}") from None
    check(snapshot)
    return snapshot


def check(snapshot: ModelSnapshot) -> None:
    """Raise SnapshotError unless every shape agrees and every number can be computed with."""
    d, k, scaling = len(snapshot.features), len(snapshot.segments), snapshot.scaling
    faults = (
        (not k, "it has no segment"),
        (len(snapshot.centres) != k, f"{len(snapshot.centres)} centres for {k} segments"),
        (any(len(c) != d for c in snapshot.centres), f"a centre has not {d} coordinates"),
        (
            any(len(row) != d for row in (scaling.centre, scaling.scale, scaling.weight)),
            f"the scaling has not {d} values",
        ),
        (min(scaling.scale, default=1.0) <= 0, "a scale is not positive"),
        (scaling.clip <= 0, "the clip is not positive"),
        (len({s.id for s in snapshot.segments}) != k, "two segments have the same id"),
    )
    for wrong, what in faults:
        if wrong:
            raise SnapshotError(f"model {snapshot.version} cannot be used: {what}")


def coordinates(transformed: Matrix, scaling: Scaling) -> Matrix:
    """Scale a (n, d) matrix of transformed features to (n, d) coordinates, no unit."""
    centred = (transformed - np.array(scaling.centre)) / np.array(scaling.scale)
    clipped = np.clip(centred, -scaling.clip, scaling.clip)
    return np.asarray(clipped * np.array(scaling.weight), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a customer belongs.

    ``segment`` is an index into the snapshot's segments. ``margin``: 1 minus the distance to the
    new centre over the distance to the old one. ``held``: another centre is nearer, but not by
    the required margin.
    """

    segment: int
    margin: float
    held: bool


class Spot(NamedTuple):
    """A customer among the centres: scaled coordinates, and the distance to every centre."""

    point: list[float]
    distances: list[float]


class SegmentModel:
    """One snapshot, compiled for scoring single customers."""

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
        scaling = snapshot.scaling
        self._clip = scaling.clip
        self._scaling = tuple(zip(scaling.centre, scaling.scale, scaling.weight, strict=True))
        self._centres = snapshot.centres
        self._index = {segment.id: i for i, segment in enumerate(snapshot.segments)}

    @property
    def version(self) -> int:
        """The snapshot's version."""
        return self.snapshot.version

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments, in the order of the centres."""
        return self.snapshot.segments

    def index(self, segment_id: int) -> int | None:
        """Return the index of a segment id, None if the segment does not exist (any more)."""
        return self._index.get(segment_id)

    def locate(self, vector: Sequence[float]) -> Spot:
        """Find one vector in natural units among the centres."""
        return self.spot(self.coordinates(vector))

    def coordinates(self, vector: Sequence[float]) -> list[float]:
        """Place one vector in natural units on the scaled axes."""
        clip, transformed = self._clip, self.features.transform(vector)
        found = []
        for x, (centre, scale, weight) in zip(transformed, self._scaling, strict=True):
            y = (x - centre) / scale
            if not -clip < y < clip:
                y = clip if y > 0 else -clip
            found.append(y * weight)
        return found

    def spot(self, point: list[float]) -> Spot:
        """Measure the Euclidean distance of a scaled point to every centre."""
        return Spot(point, [dist(point, centre) for centre in self._centres])

    def place(self, spot: Spot, current: int | None) -> Placement:
        """Decide with hysteresis: leave ``current`` only for a centre nearer by the margin."""
        distances = spot.distances
        nearest = distances.index(min(distances))
        if current is None:
            return Placement(nearest, 1.0, held=False)
        if nearest == current:
            return Placement(current, 0.0, held=False)
        if distances[nearest] < self._keep * distances[current]:
            margin = 1 - distances[nearest] / distances[current]
            return Placement(nearest, margin, held=False)
        return Placement(current, 0.0, held=True)

    def contributions(
        self, old: int, new: int, point: Sequence[float], former: Sequence[float] | None = None
    ) -> list[float]:
        """How much each coordinate speaks for ``new`` against ``old``; they sum to d² − d².

        Against a ``former`` point: how much more than there, which is linear in the way between.
        """
        if former is not None:
            ways = zip(point, former, self._centres[old], self._centres[new], strict=True)
            return [2 * (x - y) * (b - a) for x, y, a, b in ways]
        pairs = zip(point, self._centres[old], self._centres[new], strict=True)
        return [(x - a) ** 2 - (x - b) ** 2 for x, a, b in pairs]

    def next_change(self, spot: Spot, current: int) -> tuple[float, int] | None:
        """Find the silence after which another centre wins, everything else unchanged.

        Returns (recency in days, index of the winner), or None if silence never moves the
        customer. With u the recency coordinate, o the own and c another centre, R the squared
        distance in all other coordinates and q = (1 − margin)², the other centre wins where
        q (R_o + (u − o)²) − (R_c + (u − c)²) > 0: a concave parabola in u, a line at margin 0.
        """
        (u, *_), distances = spot
        own = self._centres[current][0]
        q, rest = self._keep**2, distances[current] ** 2 - (u - own) ** 2
        best, winner = inf, current
        for i, centre in enumerate(self._centres):
            if i == current:
                continue
            other_rest = distances[i] ** 2 - (u - centre[0]) ** 2
            crossing = _first_win(u, q, own, rest, centre[0], other_rest)
            if crossing < best:
                best, winner = crossing, i
        centre_, scale, weight = self._scaling[0]
        if best >= self._clip * weight:
            return None
        silence = RECENCY.knee * expm1(best / weight * scale + centre_)
        return (silence, winner) if silence < NEVER_DAYS else None


def due(change: tuple[float, int] | None, last: int, now: int) -> int:
    """Return the time (ms) of a next change, always after ``now``; 0 if there is none."""
    return 0 if change is None else max(now + 1, last + int(change[0] * DAY_MS) + 1)


def _first_win(u: float, q: float, o: float, rest: float, c: float, other_rest: float) -> float:
    """Smallest coordinate ≥ u at which the other centre wins; infinite if there is none.

    Solves a x² + b x + e > 0 with a = q − 1 ≤ 0.
    """
    a = q - 1
    b = 2 * (c - q * o)
    e = q * (rest + o * o) - other_rest - c * c
    if a * u * u + b * u + e > 0:
        return u
    if a > -1e-12:  # noqa: PLR2004
        return -e / b if b > 0 else inf
    discriminant = b * b - 4 * a * e
    if discriminant <= 0:
        return inf
    root = sqrt(discriminant)
    lower = 2 * e / (-b - root) if b > 0 else (-b + root) / (2 * a)
    return lower if lower >= u else inf


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
