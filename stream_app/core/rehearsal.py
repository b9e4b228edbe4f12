"""Rehearsal: what another model would do to the stored customers, before anybody is moved.

The whole population is judged at once with numpy, by the rules a worker applies one by one
(``SegmentModel.place``); and new versions are made out of stored ones: rolled back, renamed,
trained as a candidate. Nothing is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from stream_app.contracts import (
    ModelSnapshot,
    PopulationSample,
    SampledCustomer,
    Segment,
    SegmentFate,
    SegmentRef,
)
from stream_app.core import clustering, identity
from stream_app.core.clustering import Labels
from stream_app.core.events import to_datetime
from stream_app.core.features import FeatureSet
from stream_app.core.model import Matrix, coordinates
from stream_app.core.segments import Profile, name_segments
from stream_app.core.training import Trainer, TrainingConfig

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


def transformed(vectors: Matrix, features: FeatureSet) -> Matrix:
    """Apply the features' transforms to (n, d) vectors in natural units."""
    columns = zip(features.features, vectors.T, strict=True)
    return np.column_stack(
        [np.log1p(x / f.knee) if f.transform == "log" else x for f, x in columns]
    )


def place(points: Matrix, model: ModelSnapshot, current: Labels, margin: float) -> Labels:
    """Decide with hysteresis for (n, d) scaled points in segments ``current``; return ids, (n,).

    A segment that the model does not have holds nobody back.
    """
    squared = cdist(points, np.array(model.centres), "sqeuclidean")
    ids, rows, nearest = _ids(model), np.arange(len(points)), squared.argmin(axis=1)
    own = np.full(len(points), -1)
    for index, segment in enumerate(ids.tolist()):
        own[current == segment] = index
    stays = (own >= 0) & (squared[rows, nearest] >= (1 - margin) ** 2 * squared[rows, own])
    return np.asarray(ids[np.where(stays, own, nearest)], dtype=np.int64)


def near_border(
    population: Population, features: FeatureSet, model: ModelSnapshot, margin: float
) -> float:
    """Part of the customers whose nearest centre is not nearer than the next by the margin.

    Where such a customer is depends on where they came from; they are the ones who could flap.
    """
    if len(model.centres) == 1 or not len(population.vectors):
        return 0.0
    points = coordinates(transformed(population.vectors, features), model.scaling)
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
    natural = transformed(population.vectors, features)
    before = place(coordinates(natural, old.scaling), old, population.segments, margin)
    after = place(coordinates(natural, new.scaling), new, before, margin)
    return _crossed(before, after, _refs(old), _refs(new), population.scale)


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
    points = coordinates(transformed(population.vectors, features), new.scaling)
    after = place(points, new, population.segments, margin)
    known = {ref.id: ref for ref in (NOWHERE, *(_refs(current) if current else ()))}
    found = np.unique(population.segments).tolist()
    old = tuple(known.get(i, SegmentRef(id=i, name=f"segment {i}")) for i in found)
    return _crossed(population.segments, after, old, _refs(new), population.scale).moves


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
    before, after = _ids(old).tolist(), _ids(new).tolist()
    kept = identity.all_kept([i for i in before if i in after])
    gone, come = [i for i in before if i not in after], [i for i in after if i not in before]
    return kept + identity.replaced(gone, come)


def rolled_back(
    old: ModelSnapshot, latest: ModelSnapshot, names: Mapping[int, str], created_at: datetime
) -> ModelSnapshot:
    """Make the version after ``latest`` that judges as ``old`` did; no segment id is used twice.

    ``names`` are those the user gave; they hold in every version.
    """
    free = max(old.training.next_segment_id, latest.training.next_segment_id)
    facts = {"cause": "rollback", "next_segment_id": free}
    following = old.model_copy(
        update={
            "version": latest.version + 1,
            "segments": renamed(old.segments, names),
            "training": old.training.model_copy(update=facts),
            "event_time": latest.event_time,
            "created_at": created_at,
        }
    )
    apart = latest.model_copy(update={"version": 0})
    return following.model_copy(update={"fates": fates(apart, following)})


def with_names(
    latest: ModelSnapshot, segments: tuple[Segment, ...], created_at: datetime
) -> ModelSnapshot:
    """Make the version after ``latest`` in which only names differ."""
    return latest.model_copy(
        update={
            "version": latest.version + 1,
            "segments": segments,
            "fates": identity.all_kept([s.id for s in segments]),
            "training": latest.training.model_copy(update={"cause": "rename"}),
            "created_at": created_at,
        }
    )


def renamed(segments: Sequence[Segment], names: Mapping[int, str]) -> tuple[Segment, ...]:
    """Give segments the user's names by id; who has one of them already gets a number behind it."""
    chosen: dict[int, str] = {}
    for segment in sorted(segments, key=lambda s: s.id not in names):
        name, taken = names.get(segment.id, segment.name), set(chosen.values())
        numbered = (f"{name} {n}" for n in range(2, len(segments) + 2))
        chosen[segment.id] = next(n for n in (name, *numbered) if n not in taken)
    return tuple(s.model_copy(update={"name": chosen[s.id]}) for s in segments)


def own_name(segments: Sequence[Segment], segment_id: int) -> str:
    """Name one segment as if the user had not, against the median of all segments' profiles."""
    by_share = {f: sorted((s.profile[f], s.share) for s in segments) for f in segments[0].profile}
    median = {feature: _weighted_median(values) for feature, values in by_share.items()}
    previous = [None if s.id == segment_id else s.name for s in segments]
    names = name_segments([s.profile for s in segments], median, previous)
    return names[previous.index(None)]


def _weighted_median(values: Sequence[tuple[float, float]]) -> float:
    """Median of sorted (value, weight) pairs."""
    reached = np.cumsum([weight for _, weight in values])
    return values[int(np.searchsorted(reached, reached[-1] / 2))][0]


@dataclass(frozen=True, slots=True)
class Plan:
    """A candidate to train. ``weights`` replace the features' own, ``names`` segments' by id."""

    config: TrainingConfig
    weights: Mapping[str, float]
    names: Mapping[int, str]
    created_at: datetime


def candidate(
    population: Population, features: FeatureSet, plan: Plan, current: ModelSnapshot | None
) -> ModelSnapshot:
    """Train on a population that is not empty what a trainer would begin with.

    It is the version after ``current``; clusters that share their customers with a segment of it
    continue that segment.
    """
    fresh = _trained(population, features, plan)
    if current is None:
        return fresh
    known = {s.id: s.name for s in current.segments}
    traced = _traced(population, features, fresh, current)
    profiles = [s.profile for s in fresh.segments]
    typical = dict(zip(features.names, np.median(population.vectors, axis=0), strict=True))
    names = name_segments(profiles, typical, [known.get(i) for i in traced.ids])
    rows = zip(fresh.segments, traced.ids, names, strict=True)
    segments = [s.model_copy(update={"id": i, "name": name}) for s, i, name in rows]
    facts = {"samples": current.training.samples, "next_segment_id": traced.next_id}
    return fresh.model_copy(
        update={
            "version": current.version + 1,
            "segments": renamed(segments, plan.names),
            "fates": traced.fates,
            "training": fresh.training.model_copy(update=facts),
        }
    )


def _trained(population: Population, features: FeatureSet, plan: Plan) -> ModelSnapshot:
    weighted = [replace(f, weight=plan.weights.get(f.name, f.weight)) for f in features.features]
    size = len(population.vectors)
    config = replace(plan.config, warmup_customers=size, warmup_days=0.0, window=size)
    trainer = Trainer(replace(features, features=tuple(weighted)), config)
    rows = enumerate(population.vectors.tolist())
    sample = PopulationSample(
        feature_set=features.version,
        partition=0,
        population=population.total,
        event_time=to_datetime(population.at),
        customers=tuple(SampledCustomer(customer_id=str(i), vector=tuple(v)) for i, v in rows),
    )
    snapshot = trainer.learn(sample, plan.created_at)
    if snapshot is None:
        raise ValueError("there is no customer to learn from")
    training = snapshot.training.model_copy(update={"cause": "rehearsal"})
    return snapshot.model_copy(update={"training": training})


def _traced(
    population: Population, features: FeatureSet, new: ModelSnapshot, current: ModelSnapshot
) -> identity.Traced:
    """Find who continues; of a model of other features nobody does."""
    ids, first = _ids(current).tolist(), current.training.next_segment_id
    if current.feature_set != new.feature_set:
        fresh = list(range(first, first + len(new.segments)))
        return identity.Traced(fresh, identity.replaced(ids, fresh), first + len(fresh))
    natural = transformed(population.vectors, features)
    old, labels = (
        clustering.nearest(coordinates(natural, model.scaling), np.array(model.centres))
        for model in (current, new)
    )
    return identity.trace(old, labels, ids, len(new.segments), first)


def _ids(model: ModelSnapshot) -> Labels:
    return np.array([segment.id for segment in model.segments], dtype=np.int64)


def _refs(model: ModelSnapshot) -> tuple[SegmentRef, ...]:
    return tuple(SegmentRef(id=s.id, name=s.name) for s in model.segments)
