"""Names for learned segments, from the vocabulary of RFM marketing.

A segment is placed on a few axes relative to the population (``AXES``); each name has its typical
place there (``VOCABULARY``); names go to segments one to one at the least total distance. To add
a name, add a row: what it means, and its typical levels on the axes where it is not average.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log, log1p
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from stream_app.core.model import Matrix

Profile = Mapping[str, float]
EXTREME = 2.5
LOYALTY = 0.6
REPEAT = 3.0
COPIES = 3


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


class Meaning(NamedTuple):
    """What a name says to a marketer, and its levels on the axes; 0 where none is given."""

    description: str
    levels: dict[str, float]


def _at(description: str, **levels: float) -> Meaning:
    return Meaning(description, levels)


# fmt: off
VOCABULARY = {
    "Champions": _at(
        "Buy often, lately and for the most money; reward them and ask them to recommend you.",
        silence=-1.5, overdue=-0.5, orders=2, spend=2, tenure=0.3,
    ),
    "Loyal": _at(
        "Come back steadily and lately; offer them more of what they like.",
        silence=-1, overdue=-0.5, orders=0.6, tenure=0.3,
    ),
    "Potential loyalists": _at(
        "Bought lately and more than once, though not for long; a membership makes it a habit.",
        silence=-1, overdue=-0.5, tenure=-1.2,
    ),
    "New": _at(
        "Made a first order just now; welcome them and help them to a second one.",
        silence=-1.5, overdue=-2, orders=-1.5, spend=-1.5, tenure=-2.5,
    ),
    "Promising": _at(
        "Were here lately but spend little so far; show them what else there is.",
        silence=-0.7, overdue=-0.5, orders=-1, spend=-1.5, tenure=-0.4,
    ),
    "Need attention": _at(
        "Average customers who begin to be late; a timely offer brings them back.",
        silence=1, overdue=0.8, orders=-0.8, spend=-0.8,
    ),
    "Occasional": _at(
        "Come rarely and buy little, but in a rhythm of their own; write to them as seldom.",
        silence=1, orders=-1.7, spend=-2,
    ),
    "At risk": _at(
        "Used to buy regularly and are overdue; remind them with something personal.",
        silence=1.8, overdue=2, orders=-1.1, spend=-1.2, tenure=-0.5,
    ),
    "Can't lose": _at(
        "Were among the best and have fallen silent; win them back in person, at a price.",
        silence=1.7, overdue=2, orders=1.2, spend=1.4, tenure=0.3,
    ),
    "Hibernating": _at(
        "Bought little and a good while ago; a cheap seasonal reminder is enough.",
        silence=1.9, overdue=1.3, orders=-1.8, spend=-2,
    ),
    "Lost": _at(
        "Bought little and have been gone for very long; leave them out of paid campaigns.",
        silence=2.5, overdue=2, orders=-2.2, spend=-2.4, tenure=-1,
    ),
    "Bargain hunters": _at(
        "Buy at a discount more than others; tell them of sales, spare them full prices.",
        discount=2,
    ),
    "Big baskets": _at(
        "Fill large baskets at their own pace; offer bundles and delivery.",
        silence=0.2, spend=0.8, basket=1.5,
    ),
    "One-timers": _at(
        "Ordered once and not again yet; give a reason for the second order.",
        silence=0.7, overdue=-1.5, orders=-2, spend=-1.7, tenure=-2.5,
    ),
}
# fmt: on


def describe(name: str) -> str:
    """One sentence for a name, numbered or not; empty for a name given by a user.

    >>> describe("Loyal 2")
    'Come back steadily and lately; offer them more of what they like.'
    """
    base = name.rstrip("0123456789 ")
    return VOCABULARY[base].description if base in VOCABULARY else ""


def levels(profile: Profile, population: Profile) -> list[float]:
    """Place a segment on the axes, −2.5 to 2.5, 0 as the population.

    Both map feature names to medians in natural units.
    """
    exact = (axis.level(profile, population) for axis in AXES.values())
    return [min(EXTREME, max(-EXTREME, level)) for level in exact]


def name_segments(
    profiles: Sequence[Profile], population: Profile, previous: Sequence[str | None]
) -> list[str]:
    """Give each segment a name of its own, in the order of ``profiles``.

    ``previous`` holds each segment's name so far, None for a new one. A name is kept until
    another fits clearly better; one that is not of the vocabulary was given by a user and stays.
    Where two segments fit one name better than what is left, the second is numbered ("Loyal 2").
    """
    columns = [name if n == 1 else f"{name} {n}" for n in _numbers() for name in VOCABULARY]
    given = {i: name for i, name in enumerate(previous) if name and not describe(name)}
    open_ = [i for i in range(len(profiles)) if i not in given]
    cost = _misfit([levels(profiles[i], population) for i in open_])
    for row, i in enumerate(open_):
        if previous[i] in columns:
            cost[row, columns.index(str(previous[i]))] -= LOYALTY
    chosen = linear_sum_assignment(cost)[1]
    names = given | {i: columns[c] for i, c in zip(open_, chosen, strict=True)}
    return [names[i] for i in range(len(profiles))]


def _numbers() -> range:
    return range(1, COPIES + 1)


def _misfit(places: Sequence[Sequence[float]]) -> Matrix:
    """Weighted squared distance of each place to each name and its numbered repetitions."""
    typical = np.array([[m.levels.get(a, 0.0) for a in AXES] for m in VOCABULARY.values()])
    weights = np.array([axis.weight for axis in AXES.values()])
    place = np.array(places, dtype=np.float64).reshape(-1, 1, len(AXES))
    distance = (weights * (place - typical) ** 2).sum(axis=2)
    return np.concatenate([distance + REPEAT * (n - 1) for n in _numbers()], axis=1)
