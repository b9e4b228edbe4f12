"""The vector the model sees: unit, transform and weight of each coordinate, in one place.

Customers are scored many at a time: what the features are computed from is read out of each state
(`FeatureSet.row`), and the features of n customers are computed together, column by column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import log
from re import search
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.core.folds import DAY_MS, MICROS, SKETCH_BITS, CustomerState

Array = NDArray[np.float64]
Row = tuple[float, ...]

BREADTHS = np.array(
    [SKETCH_BITS * log(SKETCH_BITS / max(1, SKETCH_BITS - n)) for n in range(SKETCH_BITS + 1)]
)
ONE_GAP_DAYS = 180.0


class Columns(NamedTuple):
    """What the features of n customers are computed from: arrays of shape (n,), as in the state.

    ``sketched``: how many bits of the sketch of categories are set.
    """

    last: Array
    first: Array
    orders: Array
    spend: Array
    discount: Array
    refunded: Array
    decayed_orders: Array
    decayed_spend: Array
    sketched: Array


def recency_days(last: Array, at: Array) -> Array:
    """Days of silence at ``at``, never negative."""
    return np.maximum(0.0, at - last) / DAY_MS


def tenure_days(c: Columns, _: Array) -> Array:
    """Days from the first to the last purchase."""
    return (c.last - c.first) / DAY_MS


def mean_gap_days(c: Columns, at: Array) -> Array:
    """Mean days between purchases; 180 where there was only one."""
    gaps = tenure_days(c, at) / np.maximum(1.0, c.orders - 1)
    return np.where(c.orders > 1, gaps, ONE_GAP_DAYS)


def category_breadth(c: Columns, _: Array) -> Array:
    """Distinct categories ever bought, by linear counting (Whang et al. 1990), 64 bits."""
    return BREADTHS[c.sketched.astype(np.intp)]


def _share(part: Array, whole: Array) -> Array:
    return np.minimum(1.0, part / np.where(whole > 0, whole, np.inf))


def _age(state: CustomerState) -> float:
    year = state.profile.birth_year if state.profile else None
    last = datetime.fromtimestamp(state.last / 1000, UTC).year
    return 45.0 if year is None else float(max(0, last - year))


def _has_gender(state: CustomerState, gender: str) -> float:
    return 1.0 if state.profile and state.profile.gender == gender else 0.0


def _income(state: CustomerState) -> float:
    """First number of the income band, in its own unit; half of it after "under"; 60 if unknown."""
    band = state.profile.attributes.get("income", "") if state.profile else ""
    number = search(r"\d+(?:\.\d+)?", band)
    if number is None:
        return 60.0
    return float(number[0]) * (0.5 if band.casefold().startswith(("under", "<", "less")) else 1.0)


def _affinity(state: CustomerState) -> float:
    wanted = {i.casefold() for i in state.profile.interests} if state.profile else set()
    total = sum(state.categories.values())
    bought = sum(v for name, v in state.categories.items() if name.casefold() in wanted)
    return bought / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Feature:
    """One coordinate: its unit for people, its transform and weight for the distance.

    Either ``compute`` makes it of `Columns` at given times (ms), or ``read`` takes it from a state.
    ``log`` is log(1 + x / knee): nearly linear below the knee, so that differences much smaller
    than it do not count. A week of knee keeps the days between two visits from being a lapse.
    """

    name: str
    unit: str
    transform: Literal["log", "linear"]
    weight: float
    compute: Callable[[Columns, Array], Array] | None = None
    knee: float = 1.0
    read: Callable[[CustomerState], float] | None = None


RECENCY = Feature("recency_days", "days", "log", 1.0, lambda c, at: recency_days(c.last, at), 7.0)

STANDARD = (
    RECENCY,
    Feature("decayed_orders", "orders", "log", 1.0, lambda c, _: c.decayed_orders),
    Feature("decayed_spend", "money", "log", 1.0, lambda c, _: c.decayed_spend),
    Feature("average_basket", "money", "log", 0.7, lambda c, _: c.spend / MICROS / c.orders),
    Feature("mean_gap_days", "days", "log", 0.5, mean_gap_days),
    Feature("tenure_days", "days", "log", 0.5, tenure_days),
    Feature(
        "discount_share",
        "share",
        "linear",
        0.4,
        lambda c, _: _share(c.discount, c.spend + c.discount),
    ),
    Feature("refund_share", "share", "linear", 0.4, lambda c, _: _share(c.refunded, c.spend)),
    Feature("category_breadth", "categories", "log", 0.3, category_breadth),
)


OPTIONAL = {
    "age": (Feature("age", "years", "linear", 0.5, read=_age),),
    "gender": (
        Feature("gender_female", "yes", "linear", 0.25, read=lambda s: _has_gender(s, "female")),
        Feature("gender_male", "yes", "linear", 0.25, read=lambda s: _has_gender(s, "male")),
    ),
    "income": (Feature("income", "income", "log", 0.4, knee=10.0, read=_income),),
    "interests": (Feature("interest_affinity", "share", "linear", 0.4, read=_affinity),),
}


@dataclass(frozen=True)
class FeatureSet:
    """The vector's definition: fixed order, and a version that changes whenever it does.

    >>> FeatureSet.build(60.0).version
    'v1-h60'
    >>> FeatureSet.build(60.0, ("age",)).features[-1].name
    'age'
    """

    version: str
    half_life_days: float
    features: tuple[Feature, ...]

    @classmethod
    def build(
        cls,
        half_life_days: float,
        optional: Sequence[str] = (),
        weights: Mapping[str, float] | None = None,
    ) -> "FeatureSet":
        """Assemble the standard features and the optional groups, in declared order.

        ``weights`` replace those of features by name; ValueError for a name that is not in the set.
        """
        groups = [name for name in OPTIONAL if name in optional]
        extra = tuple(feature for name in groups for feature in OPTIONAL[name])
        features, own = STANDARD + extra, dict(weights or {})
        unknown = set(own) - {feature.name for feature in features}
        if unknown:
            known = ", ".join(feature.name for feature in features)
            raise ValueError(f"unknown feature {', '.join(sorted(unknown))}; known: {known}")
        marks = [f"{name}={own[name]:.15g}" for name in sorted(own)]
        version = "+".join([f"v1-h{half_life_days:.15g}", *groups, *marks])
        weighted = (replace(f, weight=own.get(f.name, f.weight)) for f in features)
        return cls(version, half_life_days, tuple(weighted))

    @property
    def half_life_ms(self) -> float:
        """Half-life of the decayed sums in milliseconds."""
        return self.half_life_days * DAY_MS

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in vector order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def _readers(self) -> tuple[Callable[[CustomerState], float], ...]:
        return tuple(f.read for f in self.features if f.read)

    @cached_property
    def _logs(self) -> tuple[NDArray[np.intp], Array]:
        """Which features have a log transform, and their knees."""
        logs = [(i, f.knee) for i, f in enumerate(self.features) if f.transform == "log"]
        index, knees = zip(*logs, strict=True)
        return np.array(index), np.array(knees)

    def row(self, state: CustomerState) -> Row:
        """Read what the features are computed from; the state must hold a purchase."""
        known = (
            *(state.last, state.first, state.orders, state.spend, state.discount, state.refunded),
            *(state.decayed_orders, state.decayed_spend, state.sketch.bit_count()),
        )
        return known + tuple([read(state) for read in self._readers]) if self._readers else known

    def natural(self, rows: Sequence[Row], at: Sequence[float]) -> Array:
        """Compute the features of n customers in natural units at n times (ms), shape (n, d).

        Only the first, recency, depends on the time.
        """
        columns = np.ascontiguousarray(np.array(rows, dtype=np.float64).T)
        width, times = len(Columns._fields), np.array(at, dtype=np.float64)
        known, declared = Columns(*columns[:width]), iter(columns[width:])
        natural = np.empty((len(times), len(self.features)))
        for i, feature in enumerate(self.features):
            compute = feature.compute
            natural[:, i] = compute(known, times) if compute else next(declared)
        return natural

    def vector(self, state: CustomerState, now: int) -> tuple[float, ...]:
        """Compute the features of one customer in natural units at ``now`` (ms)."""
        return tuple(self.natural([self.row(state)], [now])[0].tolist())

    def transform_all(self, natural: Array) -> Array:
        """Bring (n, d) natural units to the axes on which distances are measured, unscaled."""
        transformed = np.array(natural, dtype=np.float64)
        logs, knees = self._logs
        transformed[:, logs] = np.log1p(transformed[:, logs] / knees)
        return transformed

    def transform(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Transform the features of one customer."""
        return tuple(self.transform_all(np.array([vector]))[0].tolist())
