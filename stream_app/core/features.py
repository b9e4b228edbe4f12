"""What is known of a customer: a fold over events, and the vector the model sees.

Folding is O(1) per event and commutative in event time: late and shuffled events give the same
state, up to float rounding of the decayed sums. Two parts depend on the order of arrival by
design: which duplicates are still remembered (the last 16), and which categories survive when a
customer buys from more than eight.

Times are integer milliseconds since 1970 (UTC), money is integer millionths of the base currency.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from math import log, log1p
from re import search
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

DAY_MS = 86_400_000
MICROS = 1_000_000
STATE_VERSION = 1
RING_EVENTS = 16
TOKEN_CHARS = 8
MAX_CATEGORIES = 8
MAX_CHANNELS = 8
SKETCH_BITS = 64


class Order(NamedTuple):
    """A valid purchase or refund in the base currency; ``categories`` pairs names and micros."""

    event_id: str
    customer_id: str
    at: int
    refund: bool
    total: int
    discount: int
    lines: int
    categories: tuple[tuple[str, int], ...]
    channel: str | None


class ProfileState(msgspec.Struct, omit_defaults=True, frozen=True):
    """What the customer declared, as of ``updated`` (ms)."""

    updated: int = 0
    birth_year: int | None = None
    gender: str | None = None
    interests: tuple[str, ...] = ()
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    consent: bool | None = None


class CustomerState(
    msgspec.Struct,
    omit_defaults=True,
    rename={"decayed_orders": "d_orders", "decayed_spend": "d_spend"},
):
    """Everything stored of one customer: features first, then the place in the model.

    ``segment`` 0: not placed yet. ``entered``: when the segment was entered (ms); ``due``: when
    silence alone changes it (ms), 0 for never. ``model``: version that judged last.
    """

    orders: int = 0
    first: int = 0
    last: int = 0
    spend: int = 0
    discount: int = 0
    lines: int = 0
    refunds: int = 0
    refunded: int = 0
    decayed_orders: float = 0.0
    decayed_spend: float = 0.0
    categories: dict[str, float] = msgspec.field(default_factory=dict)
    sketch: int = 0
    channels: dict[str, int] = msgspec.field(default_factory=dict)
    ring: str = ""
    profile: ProfileState | None = None

    segment: int = 0
    segment_name: str = ""
    sequence: int = 0
    model: int = 0
    entered: int = 0
    due: int = 0


def token(event_id: str) -> str:
    """48 bits of the id as 8 characters: enough to tell 16 events of one customer apart."""
    return urlsafe_b64encode(blake2b(event_id.encode(), digest_size=6).digest()).decode()


def is_duplicate(state: CustomerState, event_id: str) -> bool:
    """Tell whether the id is among the customer's last 16 events."""
    mark, ring = token(event_id), state.ring
    return any(ring.startswith(mark, i) for i in range(0, len(ring), TOKEN_CHARS))


def fold_order(state: CustomerState, order: Order, half_life_ms: float) -> None:
    """Count one purchase or refund, in place."""
    state.ring = (state.ring + token(order.event_id))[-RING_EVENTS * TOKEN_CHARS :]
    if order.refund:
        state.refunds += 1
        state.refunded += order.total
        return
    weight = _advance(state, order.at, half_life_ms)
    state.orders += 1
    state.spend += order.total
    state.discount += order.discount
    state.lines += order.lines
    state.decayed_orders += weight
    state.decayed_spend += weight * order.total / MICROS
    _count_categories(state, order.categories, weight)
    if order.channel is not None:
        _count_channel(state.channels, order.channel)


def _advance(state: CustomerState, at: int, half_life_ms: float) -> float:
    """Move the reference time to ``at`` if it is newer; return the weight of an event at ``at``."""
    if not state.orders:
        state.first = state.last = at
        return 1.0
    state.first = min(state.first, at)
    if at <= state.last:
        return float(0.5 ** ((state.last - at) / half_life_ms))
    decay = 0.5 ** ((at - state.last) / half_life_ms)
    state.decayed_orders *= decay
    state.decayed_spend *= decay
    for name in state.categories:
        state.categories[name] *= decay
    state.last = at
    return 1.0


def _count_categories(
    state: CustomerState, categories: Sequence[tuple[str, int]], weight: float
) -> None:
    kept = state.categories
    for name, micros in categories:
        kept[name] = kept.get(name, 0.0) + weight * micros / MICROS
        state.sketch |= 1 << blake2b(name.encode(), digest_size=1).digest()[0] % SKETCH_BITS
    if len(kept) > MAX_CATEGORIES:
        for name in sorted(kept, key=lambda name: (kept[name], name))[:-MAX_CATEGORIES]:
            del kept[name]


def _count_channel(channels: dict[str, int], channel: str) -> None:
    if channel not in channels and len(channels) >= MAX_CHANNELS - 1:
        channel = "other"
    channels[channel] = channels.get(channel, 0) + 1


def fold_profile(state: CustomerState, profile: ProfileState) -> bool:
    """Keep the newest profile; return whether it changed anything."""
    if state.profile is not None and profile.updated <= state.profile.updated:
        return False
    state.profile = profile
    return True


def recency_days(state: CustomerState, now: int) -> float:
    """Days of silence at ``now``, never negative."""
    return max(0, now - state.last) / DAY_MS


def mean_gap_days(state: CustomerState) -> float:
    """Mean days between purchases; 180 where there was only one."""
    return (state.last - state.first) / DAY_MS / (state.orders - 1) if state.orders > 1 else 180.0


def category_breadth(state: CustomerState) -> float:
    """Distinct categories ever bought, by linear counting (Whang et al. 1990), 64 bits."""
    empty = SKETCH_BITS - state.sketch.bit_count()
    return SKETCH_BITS * log(SKETCH_BITS / max(1, empty))


def _share(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole else 0.0


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

    ``log`` is log(1 + x / knee): nearly linear below the knee, so that differences much smaller
    than it do not count. A week of knee keeps the days between two visits from being a lapse.
    """

    name: str
    unit: str
    transform: Literal["log", "linear"]
    weight: float
    compute: Callable[[CustomerState, int], float]
    knee: float = 1.0


RECENCY = Feature("recency_days", "days", "log", 1.0, recency_days, knee=7.0)

STANDARD = (
    RECENCY,
    Feature("decayed_orders", "orders", "log", 1.0, lambda s, _: s.decayed_orders),
    Feature("decayed_spend", "money", "log", 1.0, lambda s, _: s.decayed_spend),
    Feature("average_basket", "money", "log", 0.7, lambda s, _: s.spend / MICROS / s.orders),
    Feature("mean_gap_days", "days", "log", 0.5, lambda s, _: mean_gap_days(s)),
    Feature("tenure_days", "days", "log", 0.5, lambda s, _: (s.last - s.first) / DAY_MS),
    Feature(
        "discount_share",
        "share",
        "linear",
        0.4,
        lambda s, _: _share(s.discount, s.spend + s.discount),
    ),
    Feature("refund_share", "share", "linear", 0.4, lambda s, _: _share(s.refunded, s.spend)),
    Feature("category_breadth", "categories", "log", 0.3, lambda s, _: category_breadth(s)),
)

OPTIONAL = {
    "age": (Feature("age", "years", "linear", 0.5, lambda s, _: _age(s)),),
    "gender": (
        Feature("gender_female", "yes", "linear", 0.25, lambda s, _: _has_gender(s, "female")),
        Feature("gender_male", "yes", "linear", 0.25, lambda s, _: _has_gender(s, "male")),
    ),
    "income": (Feature("income", "income", "log", 0.4, lambda s, _: _income(s), knee=10.0),),
    "interests": (Feature("interest_affinity", "share", "linear", 0.4, lambda s, _: _affinity(s)),),
}


@dataclass(frozen=True, slots=True)
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

    def vector(self, state: CustomerState, now: int) -> tuple[float, ...]:
        """Features in natural units at ``now``; only the first, recency, depends on ``now``.

        The state must hold at least one purchase.
        """
        return tuple(feature.compute(state, now) for feature in self.features)

    def transform(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Natural units to the axis on which distances are measured, before scaling."""
        return tuple(
            log1p(x / f.knee) if f.transform == "log" else x
            for f, x in zip(self.features, vector, strict=True)
        )

    def transform_all(self, natural: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transform a matrix (n customers, d features) in natural units, shape (n, d)."""
        columns = zip(self.features, natural.T, strict=True)
        return np.column_stack(
            [np.log1p(x / f.knee) if f.transform == "log" else x for f, x in columns]
        )
