"""The words for segments: what each name says, where it is typical, and where it is wrong."""

from collections.abc import Mapping
from typing import NamedTuple

Profile = Mapping[str, float]
ONE_ORDER_DAYS = 1.0
NEVER = float("inf")


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


class Bounds(NamedTuple):
    """Where a name is not wrong, in days; ``late``: silence over the mean gap between orders.

    ``orders``: (1, 1) for one order, (2, …) for more; "one order" is a tenure under a day.
    """

    silence: tuple[float, float] = (0.0, NEVER)
    late: tuple[float, float] = (0.0, NEVER)
    gap: tuple[float, float] = (0.0, NEVER)
    tenure: tuple[float, float] = (0.0, NEVER)
    repeated: bool | None = None


BOUNDS = {
    "Champions": Bounds(silence=(0, 90), late=(0, 3), gap=(0, 90), repeated=True),
    "Loyal": Bounds(silence=(0, 90), late=(0, 3), gap=(0, 90), repeated=True),
    "Potential loyalists": Bounds(silence=(0, 90), late=(0, 3), gap=(0, 120), repeated=True),
    "New": Bounds(silence=(0, 60), tenure=(0, 90)),
    "Promising": Bounds(silence=(0, 120)),
    "Need attention": Bounds(silence=(10, 180)),
    "Occasional": Bounds(silence=(0, 180), late=(0, 2.5), gap=(14, NEVER), repeated=True),
    "At risk": Bounds(silence=(14, 365), late=(1.2, NEVER), repeated=True),
    "Can't lose": Bounds(silence=(30, NEVER), late=(1.5, NEVER), repeated=True),
    "Hibernating": Bounds(silence=(45, 365), late=(1, NEVER)),
    "Lost": Bounds(silence=(120, NEVER), late=(1, NEVER)),
    "Bargain hunters": Bounds(silence=(0, 180)),
    "Big baskets": Bounds(silence=(0, 120)),
    "One-timers": Bounds(repeated=False),
}


def is_wrong(name: str, profile: Profile, slack: float = 1.0) -> bool:
    """Tell whether a name would say what is not so; ``slack`` widens every bound by a factor."""
    bounds, tenure = BOUNDS[name], profile["tenure_days"]
    silence, gap = profile["recency_days"], profile["mean_gap_days"]
    values = (silence, silence / max(gap, 1.0), gap, tenure)
    outside = any(
        not low / slack <= value <= high * slack
        for value, (low, high) in zip(values, bounds[:4], strict=True)
    )
    repeated = tenure * slack >= ONE_ORDER_DAYS if bounds.repeated else tenure >= ONE_ORDER_DAYS
    return outside or bounds.repeated not in {None, repeated}


def describe(name: str) -> str:
    """One sentence for a name, numbered or not; empty for a name given by a user.

    >>> describe("Loyal 2")
    'Come back steadily and lately; offer them more of what they like.'
    """
    base = name.rstrip("0123456789 ")
    return VOCABULARY[base].description if base in VOCABULARY else ""
