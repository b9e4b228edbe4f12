"""Customers scored together: where they belong, why they moved, and which features drove it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stream_app import contracts
from stream_app.contracts import Reason
from stream_app.core.events import Record
from stream_app.core.features import FeatureSet
from stream_app.core.folds import CustomerState
from stream_app.core.model import (
    NOWHERE,
    Changes,
    Indices,
    Matrix,
    Models,
    Placements,
    SegmentModel,
    Spots,
)
from stream_app.core.plain import plain

Driver = plain(contracts.Driver)
MAX_DRIVERS = 3


@dataclass(slots=True)
class Case:
    """A customer to be judged at ``at`` (ms), because of ``cause`` and perhaps of a ``record``.

    ``former``: the state before, and the time (ms) at which its features are to be looked at.
    ``lapses``: how many came before it; ``moves``: what came of it and of them. ``before``: the
    state on which those have their effect, where it is not the same. The state must hold a
    purchase.
    """

    customer_id: str
    state: CustomerState
    at: int
    cause: Reason
    record: Record | None = None
    former: tuple[CustomerState, int] | None = None
    lapses: int = 0
    moves: list[contracts.SegmentChanged] = field(default_factory=list)
    before: CustomerState | None = None


def stay(case: Case) -> None:
    """Take over the place in the model from the state before."""
    state, before = case.state, case.before or case.state
    state.segment, state.segment_name = before.segment, before.segment_name
    state.sequence, state.model = before.sequence, before.model
    state.entered, state.due = before.entered, before.due


@dataclass(frozen=True, slots=True)
class Scored:
    """Cases that were scored together; arrays and cases have the same order.

    ``own``: indices of the former segments.
    """

    model: SegmentModel
    cases: Sequence[Case]
    vectors: Matrix
    spots: Spots
    own: Indices
    placed: Placements
    changes: Changes


def score(model: SegmentModel, cases: Sequence[Case]) -> Scored:
    """Score all cases, each at its own instant, and find what silence will do to each."""
    features = model.features
    rows = [features.row(case.state) for case in cases]
    vectors = features.natural(rows, [case.at for case in cases])
    own = model.indices([case.state.segment for case in cases])
    spots = model.locate(vectors)
    placed = model.place(spots, own)
    changes = model.next_change(spots, placed.segment)
    return Scored(model, cases, vectors, spots, own, placed, changes)


def reasons_of(scored: Scored, moved: Sequence[int], models: Models) -> list[Reason]:
    """Tell customers who moved from boundaries that moved, by asking the models before."""
    cases, reasons = [scored.cases[i] for i in moved], []
    stayed = _stayed(scored, moved, models)
    for i, case in zip(moved, cases, strict=True):
        if not case.state.segment:
            reasons.append(Reason.INITIAL)
        else:
            reasons.append(Reason.MODEL if i in stayed else case.cause)
    return reasons


def _stayed(scored: Scored, moved: Sequence[int], models: Models) -> set[int]:
    """Find those whom the model that judged them last would not have moved, or cannot say."""
    now, found = scored.model.version, set()
    before: dict[int, list[int]] = {}
    for i in moved:
        if scored.cases[i].state.model != now:
            before.setdefault(scored.cases[i].state.model, []).append(i)
    for version, group in before.items():
        previous = models.get(version)
        if previous is None:
            found.update(group)
            continue
        own = previous.indices([scored.cases[i].state.segment for i in group])
        placed = previous.place(previous.locate(scored.vectors[group]), own)
        stays = (placed.segment == own).tolist()
        found.update(i for i, same in zip(group, stays, strict=True) if same)
    return found


def drivers_of(scored: Scored, moved: Sequence[int]) -> list[tuple[contracts.Driver, ...]]:
    """Rank the features by how much their change spoke for the new centre against the old one.

    Without a former place the runner-up centre stands in for the old one; without a former vector
    (a first assignment, a new model) the present values count.
    """
    model, features = scored.model, scored.model.features
    cases = [scored.cases[i] for i in moved]
    new, own = scored.placed.segment[moved], scored.own[moved]
    old = np.where(own == NOWHERE, _runners_up(scored.spots.squared[moved], new), own)
    vectors, points = scored.vectors[moved], scored.spots.points[moved]
    known = np.array([case.former is not None for case in cases])
    before = [case.former or (case.state, case.at) for case in cases]
    then = features.natural([features.row(state) for state, _ in before], [at for _, at in before])
    gains = model.contributions(old, new, points, model.points(then), known)
    profiles = [model.segments[place].profile for place in new.tolist()]
    told = zip(cases, gains.tolist(), profiles, then.tolist(), vectors.tolist(), strict=True)
    return [_told(features, case, _best(gain), *rest) for case, gain, *rest in told]


def _best(gains: Sequence[float]) -> list[int]:
    """Return the indices of the greatest gains, as far as they are any; the first of equal ones."""
    ranked = sorted([(-gain, j) for j, gain in enumerate(gains) if gain > 0])
    return [j for _, j in ranked[:MAX_DRIVERS]]


def _told(
    features: FeatureSet,
    case: Case,
    best: Sequence[int],
    profile: Mapping[str, float],
    before: Sequence[float],
    after: Sequence[float],
) -> tuple[contracts.Driver, ...]:
    """Write the drivers of one move; ``best``: indices of features."""
    known = case.former or case.state.segment
    return tuple(
        [
            Driver(
                feature=(feature := features.features[j]).name,
                unit=feature.unit,
                before=before[j] if known else None,
                after=after[j],
                typical=profile[feature.name],
            )
            for j in best
        ]
    )


def _runners_up(squared: Matrix, nearest: Indices) -> Indices:
    """Return the nearest centres but for the given ones; of a single centre, that one."""
    others = squared.copy()
    if others.shape[1] > 1:
        others[np.arange(len(others)), nearest] = np.inf
    return np.asarray(others.argmin(axis=1))
