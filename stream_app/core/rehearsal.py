"""Rehearsal: what another model would do to the stored customers, before anybody is moved.

The whole population is placed by the model that a worker compiles (``SegmentModel``); and new
versions are made out of stored ones: rolled back, renamed, trained as a candidate. Nothing is
written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from stream_app.contracts import (
    ModelSnapshot,
    SegmentFate,
    SegmentRef,
)
from stream_app.core import clustering, identity
from stream_app.core.clustering import Labels
from stream_app.core.features import FeatureSet
from stream_app.core.model import Matrix, SegmentModel, coordinates
from stream_app.core.segments import Profile

NOWHERE = SegmentRef(id=0, name="no segment")


@dataclass(frozen=True, slots=True)
class Population:
    """Stored customers drawn uniformly, evaluated at ``at`` (ms).

    ``vectors``: (n, d) features in natural units; ``segments``: (n,) ids of the segments they are
    stored in, 0 for none; ``total``: customers there are, drawn or not.
    """

    vectors: Matrix
    segments: Labels
    total: int
    at: int

    @property
    def scale(self) -> float:
        """Stored customers for each one drawn."""
        return self.total / max(1, len(self.vectors))


class Move(NamedTuple):
    """So many customers would go from one segment to another."""

    old: SegmentRef
    new: SegmentRef
    customers: int


@dataclass(frozen=True, slots=True)
class Migration:
    """Who goes where: ``counts`` has one row per segment of ``old``, one column per one of ``new``.

    Counts are of the customers drawn, shape (rows, columns); ``scale`` extends them to all.
    """

    old: tuple[SegmentRef, ...]
    new: tuple[SegmentRef, ...]
    counts: Labels
    scale: float

    @property
    def expected(self) -> list[list[int]]:
        """Counts for the whole population."""
        found: list[list[int]] = np.rint(self.counts * self.scale).astype(np.int64).tolist()
        return found

    @property
    def shares(self) -> list[list[float]]:
        """Part of each row's customers in each column; zeros in an empty row."""
        totals = np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        found: list[list[float]] = np.round(self.counts / totals, 4).tolist()
        return found

    @property
    def moves(self) -> list[Move]:
        """Changes of segment, the most frequent first; a new name alone is none."""
        rows = zip(self.old, self.expected, strict=True)
        every = (Move(o, n, c) for o, row in rows for n, c in zip(self.new, row, strict=True))
        return sorted((m for m in every if m.customers and m.old.id != m.new.id), key=_frequency)

    def dump(self) -> dict[str, Any]:
        """Everything as JSON-ready data."""
        ends = {end: [ref.model_dump() for ref in getattr(self, end)] for end in ("old", "new")}
        return ends | {"customers": self.expected, "shares": self.shares}


def _frequency(move: Move) -> tuple[int, int, int]:
    return -move.customers, move.old.id, move.new.id


def place(
    vectors: Matrix, model: ModelSnapshot, features: FeatureSet, current: Labels, margin: float
) -> Labels:
    """Decide as a worker for (n, d) vectors in segments ``current``; return segment ids, (n,).

    A segment that the model does not have holds nobody back.
    """
    worker = SegmentModel(model, features, margin)
    placed = worker.place(worker.locate(vectors), worker.indices(current.tolist()))
    return np.asarray(segment_ids(model)[placed.segment], dtype=np.int64)


class Effect(NamedTuple):
    """What serving another model would do.

    ``migration`` is None where there is no model yet, or one of other features; ``near_border``:
    part of the customers who could flap.
    """

    migration: Migration | None
    triggers: list[Move]
    near_border: float

    def dump(self) -> dict[str, Any]:
        """Everything as JSON-ready data."""
        ends = [(m.old.model_dump(), m.new.model_dump(), m.customers) for m in self.triggers]
        return {
            "migration": self.migration.dump() if self.migration else None,
            "triggers": [dict(zip(Move._fields, move, strict=True)) for move in ends],
            "near_border": self.near_border,
        }


def effect(
    population: Population,
    features: FeatureSet,
    current: ModelSnapshot | None,
    new: ModelSnapshot,
    margin: float,
) -> Effect:
    """Tell what serving ``new`` after ``current`` would do."""
    comparable = current is not None and current.feature_set == new.feature_set
    return Effect(
        migration(population, features, current, new, margin) if current and comparable else None,
        triggers(population, features, current, new, margin),
        near_border(population, features, new, margin),
    )


def near_border(
    population: Population, features: FeatureSet, model: ModelSnapshot, margin: float
) -> float:
    """Part of the customers whose nearest centre is not nearer than the next by the margin.

    Where such a customer is depends on where they came from; they are the ones who could flap.
    """
    if len(model.centres) == 1 or not len(population.vectors):
        return 0.0
    points = coordinates(features.transform_all(population.vectors), model.scaling)
    squared = np.partition(cdist(points, np.array(model.centres), "sqeuclidean"), 1, axis=1)
    return float(np.mean(squared[:, 0] >= (1 - margin) ** 2 * squared[:, 1]))


def migration(
    population: Population,
    features: FeatureSet,
    old: ModelSnapshot,
    new: ModelSnapshot,
    margin: float,
) -> Migration:
    """Score everybody under the old model, then under the new one, as a worker would."""
    before = place(population.vectors, old, features, population.segments, margin)
    after = place(population.vectors, new, features, before, margin)
    return _crossed(before, after, segment_refs(old), segment_refs(new), population.scale)


def triggers(
    population: Population,
    features: FeatureSet,
    current: ModelSnapshot | None,
    new: ModelSnapshot,
    margin: float,
) -> list[Move]:
    """Segment changes that would be published if the new model served: stored place → new place.

    ``current`` gives the stored places their names.
    """
    after = place(population.vectors, new, features, population.segments, margin)
    known = {ref.id: ref for ref in (NOWHERE, *(segment_refs(current) if current else ()))}
    found = np.unique(population.segments).tolist()
    old = tuple(known.get(i, SegmentRef(id=i, name=f"segment {i}")) for i in found)
    return _crossed(population.segments, after, old, segment_refs(new), population.scale).moves


def _crossed(
    before: Labels,
    after: Labels,
    old: Sequence[SegmentRef],
    new: Sequence[SegmentRef],
    scale: float,
) -> Migration:
    inside = [before == ref.id for ref in old]
    counts = [[np.count_nonzero(after[rows] == ref.id) for ref in new] for rows in inside]
    table = np.array(counts, dtype=np.int64).reshape(len(old), len(new))
    return Migration(tuple(old), tuple(new), table, scale)


class Shift(NamedTuple):
    """One segment in two versions: names, how far its centre moved (scaled units), profiles."""

    id: int
    names: tuple[str, str]
    distance: float
    profiles: tuple[Profile, Profile]


def shifts(old: ModelSnapshot, new: ModelSnapshot) -> list[Shift]:
    """Compare the segments that both have, both of the same features; distances on new's axes."""
    centres = np.array(old.centres)
    if old.scaling != new.scaling:
        centres = coordinates(clustering.unscale(centres, old.scaling), new.scaling)
    before = {s.id: (s, centre) for s, centre in zip(old.segments, centres, strict=True)}
    shared = [(s, c) for s, c in zip(new.segments, new.centres, strict=True) if s.id in before]
    return [
        Shift(s.id, (was.name, s.name), float(np.linalg.norm(c - centre)), (was.profile, s.profile))
        for s, c in shared
        for was, centre in (before[s.id],)
    ]


def fates(old: ModelSnapshot, new: ModelSnapshot) -> tuple[SegmentFate, ...]:
    """Tell what became of the segments; by id alone where versions do not follow each other."""
    if new.version == old.version + 1:
        return new.fates
    before, after = segment_ids(old).tolist(), segment_ids(new).tolist()
    kept = identity.all_kept([i for i in before if i in after])
    gone, come = [i for i in before if i not in after], [i for i in after if i not in before]
    return kept + identity.replaced(gone, come)


def segment_ids(model: ModelSnapshot) -> Labels:
    """List the segment ids in the order of the centres."""
    return np.array([segment.id for segment in model.segments], dtype=np.int64)


def segment_refs(model: ModelSnapshot) -> tuple[SegmentRef, ...]:
    """List the segments as a customer is told of them."""
    return tuple(SegmentRef(id=s.id, name=s.name) for s in model.segments)
