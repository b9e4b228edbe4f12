"""Are the planted personas found, and what do optional features change about that?"""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import adjusted_rand_score

from tests.benchmarks.quality.population import Population, nearest, scaled
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row

Truth = Callable[[int], dict[str, str | None]]
REACHABLE = 0.95
AGREE = Bar(">=", 0.90)
GROUPS = {
    "silence and rhythm": ("recency_days", "decayed_orders", "mean_gap_days", "tenure_days"),
    "money": ("decayed_spend", "average_basket", "discount_share", "refund_share"),
    "category breadth": ("category_breadth",),
    "age": ("age",),
    "gender": ("gender_female", "gender_male"),
    "interests": ("interest_affinity",),
}


class Personas(Observer):
    """Agreement (adjusted Rand index) of stored segments with the simulator's personas at the end.

    The bar is set where the batch optimum, in the same scaling and with as many centres, reaches
    0.95: elsewhere the features do not tell the personas apart.
    """

    places = True

    def __init__(self, truth: Truth) -> None:
        self._truth = truth

    def findings(self, replay: Replay) -> Findings:
        """Ours and the batch optimum's, side by side."""
        where = (replay.data, replay.settings.seed)
        ours, best = agreements(replay, self._truth)
        bar = AGREE if best >= REACHABLE else None
        name = "agreement with planted personas"
        return Findings(
            [
                Row("personas", f"{name}, ours", *where, ours, bar),
                Row("personas", f"{name}, batch optimum", *where, best),
            ]
        )


class Optional(Observer):
    """Agreement, fit, and which features the distances are made of, at the end."""

    places = True

    def __init__(self, truth: Truth) -> None:
        self._truth = truth

    def findings(self, replay: Replay) -> Findings:
        """One row for each."""
        if replay.snapshot is None:
            return Findings()
        kind = "with" if replay.settings.optional_features else "without"
        label = f"{kind} age, gender, interests"
        people = replay.population()
        ours, best = agreements(replay, self._truth)
        values = {
            "agreement with planted personas, ours": ours,
            "agreement with planted personas, batch optimum": best,
            "inertia ratio": people.served_ratio(replay.snapshot, replay.settings.seed),
        } | {f"share of variance: {g}": v for g, v in variance_shares(people, replay).items()}
        where = (replay.data, replay.settings.seed)
        return Findings([Row("optional", f"{n}, {label}", *where, v) for n, v in values.items()])


def agreements(replay: Replay, truth: Truth) -> tuple[float, float]:
    """Adjusted Rand index with the personas now: of stored segments, of the batch optimum."""
    people = replay.population()
    persona = truth(replay.clock)
    true = [str(persona[customer]) for customer in people.ids]
    ours = adjusted_rand_score(true, people.segments)
    return float(ours), float(adjusted_rand_score(true, _optimal_labels(people, replay)))


def _optimal_labels(
    people: Population, replay: Replay
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    if replay.snapshot is None:
        raise RuntimeError(f"{replay.data}: no model was learned")
    scaling, k = replay.snapshot.scaling, len(replay.snapshot.centres)
    _, centres = people.optimum(scaling, k, replay.settings.seed)
    return nearest(scaled(people.transformed, scaling), centres)


def variance_shares(people: Population, replay: Replay) -> dict[str, float]:
    """Part of the total variance of the scaled coordinates that each group of features makes."""
    if replay.snapshot is None:
        return {}
    points = scaled(people.transformed, replay.snapshot.scaling)
    of = dict(zip(replay.features.names, points.var(axis=0).tolist(), strict=True))
    sums = {group: sum(of.get(name, 0.0) for name in names) for group, names in GROUPS.items()}
    return {group: value / sum(of.values()) for group, value in sums.items()}
