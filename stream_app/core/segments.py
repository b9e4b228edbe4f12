"""Names for learned segments, from the vocabulary of RFM marketing.

A segment is placed on a few axes relative to the population (``AXES``); each name has its typical
place there (``vocabulary.py``); names go to segments one to one at the least total distance. What
a name may never say of a customer is absolute (``BOUNDS``): in a shop where nearly everybody is
gone, who is gone is not average. To add a name, add a row to each table.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log, log1p
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from stream_app.core.model import Matrix
from stream_app.core.vocabulary import VOCABULARY, Profile, describe, is_wrong

__all__ = ["VOCABULARY", "Profile", "describe", "levels", "name_segments"]

EXTREME = 2.5
LOYALTY = 2.5
REPEAT = 3.0
WRONG = 40.0
COPIES = 3
SLACK = 1.25


class Axis(NamedTuple):
    """One direction in which segments differ: its weight and how a level is computed."""

    weight: float
    level: Callable[[Profile, Profile], float]


def _ratio(feature: str, unit: float) -> Callable[[Profile, Profile], float]:
    """Level 1 where the segment's median is the population's times e to the power of ``unit``."""
    return lambda own, all_: (log1p(own[feature]) - log1p(all_[feature])) / unit


def _overdue(own: Profile, _: Profile) -> float:
    """Silence in proportion to the segment's own rhythm; 0 is on time, 1 is twice as long."""
    return log((own["recency_days"] + 1) / (own["mean_gap_days"] + 1)) / 0.7


def _basket(own: Profile, all_: Profile) -> float:
    """Only large baskets count: no name speaks of small ones."""
    return max(0.0, _ratio("average_basket", 0.35)(own, all_))


def _discount(own: Profile, all_: Profile) -> float:
    """Level 1 for each 10 points of discount above the population; less does not count."""
    return max(0.0, own["discount_share"] - all_["discount_share"]) / 0.1


AXES = {
    "silence": Axis(1.0, _ratio("recency_days", 1.0)),
    "overdue": Axis(0.6, _overdue),
    "orders": Axis(1.0, _ratio("decayed_orders", 0.5)),
    "spend": Axis(0.8, _ratio("decayed_spend", 0.5)),
    "basket": Axis(0.8, _basket),
    "tenure": Axis(0.6, _ratio("tenure_days", 0.7)),
    "discount": Axis(0.8, _discount),
}


def levels(profile: Profile, population: Profile) -> list[float]:
    """Place a segment on the axes, −2.5 to 2.5, 0 as the population.

    Both map feature names to medians in natural units.
    """
    exact = (axis.level(profile, population) for axis in AXES.values())
    return [min(EXTREME, max(-EXTREME, level)) for level in exact]


def name_segments(
    profiles: Sequence[Profile],
    population: Profile,
    previous: Sequence[str | None],
    given: Mapping[int, str] | None = None,
) -> list[str]:
    """Give each segment a name of its own, in the order of ``profiles``.

    ``previous`` holds each segment's name so far, None for a new one. A name is kept until it is
    wrong or another fits clearly better; one that is not of the vocabulary was given by a user and
    stays, as do ``given`` names, by row. Where two segments fit one name better than what is
    left, the second is numbered ("Loyal 2").
    """
    kept = {i: name for i, name in enumerate(previous) if name and not describe(name)}
    fixed = _distinct(kept | dict(given or {}))
    open_ = [i for i in range(len(profiles)) if i not in fixed]
    every = [name if n == 1 else f"{name} {n}" for n in _numbers() for name in VOCABULARY]
    cost = _misfit([profiles[i] for i in open_], population)
    for row, i in enumerate(open_):
        if previous[i] in every:
            _keep(cost[row], every.index(str(previous[i])), profiles[i])
    free = [c for c, name in enumerate(every) if name not in fixed.values()]
    chosen = linear_sum_assignment(cost[:, free])[1]
    names = fixed | {i: every[free[c]] for i, c in zip(open_, chosen, strict=True)}
    return [names[i] for i in range(len(profiles))]


def _distinct(names: Mapping[int, str]) -> dict[int, str]:
    """Put a number behind the second and further use of a name."""
    found: dict[int, str] = {}
    for row, name in names.items():
        candidates = (name, *(f"{name} {n}" for n in range(2, len(names) + 2)))
        found[row] = next(c for c in candidates if c not in found.values())
    return found


def _keep(cost: Matrix, column: int, profile: Profile) -> None:
    """Make a segment's present name cheaper, also a little beyond where it would be wrong."""
    base = list(VOCABULARY)[column % len(VOCABULARY)]
    cost[column] -= LOYALTY
    if is_wrong(base, profile) and not is_wrong(base, profile, SLACK):
        cost[column] -= WRONG


def _numbers() -> range:
    return range(1, COPIES + 1)


def _misfit(profiles: Sequence[Profile], population: Profile) -> Matrix:
    """Weighted squared distance of each place to each name and its numbered repetitions."""
    typical = np.array([[m.levels.get(a, 0.0) for a in AXES] for m in VOCABULARY.values()])
    weights = np.array([axis.weight for axis in AXES.values()])
    places = [levels(profile, population) for profile in profiles]
    place = np.array(places, dtype=np.float64).reshape(-1, 1, len(AXES))
    wrong = [[is_wrong(name, profile) for name in VOCABULARY] for profile in profiles]
    penalty = WRONG * np.array(wrong, dtype=np.float64).reshape(-1, len(VOCABULARY))
    distance = (weights * (place - typical) ** 2).sum(axis=2) + penalty
    return np.concatenate([distance + REPEAT * (n - 1) for n in _numbers()], axis=1)
