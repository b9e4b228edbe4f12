"""New versions made out of stored ones: rolled back, renamed, trained as a candidate.

Nothing is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from stream_app.contracts import (
    ModelSnapshot,
    Segment,
    Training,
)
from stream_app.core import clustering, identity
from stream_app.core.events import to_datetime
from stream_app.core.features import FeatureSet
from stream_app.core.live import LiveModel
from stream_app.core.model import Matrix, coordinates
from stream_app.core.portrait import Sight, portray, renames
from stream_app.core.rehearsal import Population, fates, segment_ids
from stream_app.core.segments import name_segments
from stream_app.core.training_config import TrainingConfig


def rolled_back(
    old: ModelSnapshot, latest: ModelSnapshot, names: Mapping[int, str], created_at: datetime
) -> ModelSnapshot:
    """Make the version after ``latest`` that judges as ``old`` did; no segment id is used twice.

    ``names`` are those the user gave; they hold in every version.
    """
    free = max(old.training.next_segment_id, latest.training.next_segment_id)
    facts = {"cause": "rollback", "next_segment_id": free}
    segments = renamed(old.segments, names)
    following = old.model_copy(
        update={
            "version": latest.version + 1,
            "segments": segments,
            "renames": renames(latest, segments),
            "training": old.training.model_copy(update=facts),
            "event_time": latest.event_time,
            "created_at": created_at,
        }
    )
    apart = latest.model_copy(update={"version": 0})
    return following.model_copy(update={"fates": fates(apart, following)})


def with_name(
    latest: ModelSnapshot, segment_id: int, name: str | None, created_at: datetime
) -> ModelSnapshot:
    """Make the version after ``latest`` in which one segment has another name; None: a learned one.

    The others keep theirs.
    """
    own = _learned_name(latest.segments, segment_id) if name is None else name
    others = {s.id: s.name for s in latest.segments if s.id != segment_id}
    turned = [s if s.id in others else s.model_copy(update={"name": own}) for s in latest.segments]
    segments = renamed(turned, others)
    return latest.model_copy(
        update={
            "version": latest.version + 1,
            "segments": segments,
            "renames": renames(latest, segments),
            "fates": identity.all_kept([s.id for s in turned]),
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


def _learned_name(segments: Sequence[Segment], segment_id: int) -> str:
    """Name one segment as if the user had not, against the middle of all segments' profiles."""
    by_value = {f: sorted((s.profile[f], s.share) for s in segments) for f in segments[0].profile}
    middle = {feature: _weighted_median(pairs) for feature, pairs in by_value.items()}
    previous = [None if s.id == segment_id else s.name for s in segments]
    names = name_segments([s.profile for s in segments], middle, previous)
    return names[previous.index(None)]


def _weighted_median(pairs: Sequence[tuple[float, float]]) -> float:
    """Interpolated median of sorted (value, weight) pairs."""
    values, weights = np.array(pairs).T
    reached = np.cumsum(weights)
    return float(np.interp(reached[-1] / 2, reached - weights / 2, values))


@dataclass(frozen=True, slots=True)
class Plan:
    """A candidate to learn: ``weights`` replace the features' own, ``names`` (by id) hold.

    ``k`` 0 chooses the number of segments.
    """

    k: int
    seed: int
    weights: Mapping[str, float]
    names: Mapping[int, str]
    created_at: datetime


def candidate(
    population: Population, features: FeatureSet, plan: Plan, current: ModelSnapshot | None
) -> ModelSnapshot:
    """Learn the version after ``current`` from a population that is not empty, as a trainer begins.

    Clusters that share their customers with a segment of ``current`` continue it.
    """
    natural = features.transform_all(population.vectors)
    weights = [plan.weights.get(f.name, f.weight) for f in features.features]
    first = current.training.next_segment_id if current else 1
    config = TrainingConfig(k=plan.k, seed=plan.seed)
    live = LiveModel.start(config, natural, weights, first)
    points = coordinates(natural, live.scaling)
    if current:
        live.ids, live.fates, live.next_id = _traced(natural, points, live, current, features)
    sight = Sight(population.vectors, points, features.names)
    segments = portray(sight, live.current, current, plan.names)
    facts = Training(
        cause="rehearsal",
        samples=current.training.samples if current else len(points),
        customers=len(points),
        counts=tuple(live.counts),
        inertia_ratio=None,
        silhouette=live.choice.silhouette,
        stability=live.choice.stability,
        next_segment_id=live.next_id,
    )
    return ModelSnapshot(
        version=current.version + 1 if current else 1,
        feature_set=features.version,
        features=features.names,
        scaling=live.scaling,
        centres=tuple(tuple(row) for row in live.centres.tolist()),
        segments=segments,
        fates=live.fates,
        renames=renames(current, segments),
        training=facts,
        event_time=to_datetime(population.at),
        created_at=plan.created_at,
    )


def _traced(
    natural: Matrix,
    points: Matrix,
    live: LiveModel,
    current: ModelSnapshot,
    features: FeatureSet,
) -> identity.Traced:
    """Find who continues; of a model of other features nobody does."""
    ids = segment_ids(current).tolist()
    if current.feature_set != features.version:
        return identity.Traced(live.ids, identity.replaced(ids, live.ids), live.next_id)
    old = clustering.nearest(coordinates(natural, current.scaling), np.array(current.centres))
    new = clustering.nearest(points, live.centres)
    return identity.trace(old, new, ids, len(live.ids), current.training.next_segment_id)
