"""The input, counted anew: what every customer, counter and dead letter must be.

Shares only the contracts with the product. Every formula is written here a second time, from what
the README and the contracts say, so that the same mistake would have to be made twice. Erasures
(null profiles) are not counted: the order between two topics is nobody's promise, so the load of
a soak has none.
"""

import math
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError

from stream_app.contracts import Item, Profile, Purchase, RejectReason
from tests.soak.reading import Found

REMEMBERED = 16
KEPT_CATEGORIES = 8
DAY_MS = 86_400_000
BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Terms:
    """What is agreed on: topics, limits, and the settings that change a result."""

    purchases: str = "purchases"
    profiles: str = "profiles"
    max_bytes: int = 65_536
    half_life_days: float = 60.0
    rates: Mapping[str, float] = field(default_factory=lambda: {"USD": 1.0})


class ErasureError(Exception):
    """The input has a null profile, which this oracle cannot judge."""


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (moment - BEGIN) // timedelta(milliseconds=1)


def millionths(amount: float, rate: float) -> int:
    """Money as the store counts it."""
    return round(amount * rate * 1_000_000)


@dataclass
class Ledger:
    """Everything one customer did, in the order of the log; times in ms, money in millionths."""

    marks: list[str] = field(default_factory=list)
    bought: list[tuple[int, int]] = field(default_factory=list)
    refunds: list[int] = field(default_factory=list)
    discount: int = 0
    lines: int = 0
    channels: Counter[str] = field(default_factory=Counter)
    sketch: int = 0
    grown: dict[str, int] = field(default_factory=dict)
    newest: int = 0
    profile: tuple[int, dict[str, Any]] | None = None

    def knows(self, event_id: str) -> bool:
        """Whether the id is one of the last 16."""
        return _mark(event_id) in self.marks[-REMEMBERED:]

    def add(self, purchase: Purchase, terms: Terms) -> None:
        """Take a purchase or a refund that is no duplicate."""
        rate, at = terms.rates[purchase.currency], milliseconds(purchase.occurred_at)
        self.marks.append(_mark(purchase.event_id))
        if purchase.type == "refund":
            self.refunds.append(millionths(purchase.total, rate))
            return
        self.bought.append((at, millionths(purchase.total, rate)))
        self.discount += millionths(purchase.discount, rate)
        self.lines += len(purchase.items)
        if purchase.channel:
            self.channels[purchase.channel.strip()] += 1
        self._spread(purchase.items, rate, at, terms.half_life_days)

    def _spread(self, items: Iterable[Item], rate: float, at: int, half_life: float) -> None:
        """Add to the categories, in cents; those known shrink whenever time goes on."""
        decay = 0.5 ** (abs(at - self.newest) / (half_life * DAY_MS)) if self.newest else 1.0
        if at > self.newest:
            self.grown = {name: int(c * decay + 0.5) for name, c in self.grown.items()}
            self.newest, decay = at, 1.0
        sums: Counter[str] = Counter()
        for item in items:
            if item.category is not None:
                name = item.category.strip()
                sums[name] += millionths(item.quantity * item.unit_price, rate)
        for name, micros in sums.items():
            self.grown[name] = self.grown.get(name, 0) + int(decay * micros / 10_000 + 0.5)
            self.sketch |= 1 << blake2b(name.encode(), digest_size=1).digest()[0] % 64
        while len(self.grown) > KEPT_CATEGORIES:
            del self.grown[min(self.grown, key=lambda n: (self.grown[n], n))]

    def declare(self, profile: Profile) -> bool:
        """Take a profile unless one as new is known; tell whether it counts."""
        at = milliseconds(profile.updated_at)
        if self.profile and at <= self.profile[0]:
            return False
        born = profile.birth_year
        if born is None and profile.age is not None:
            born = profile.updated_at.year - profile.age
        facts = {
            "updated": at,
            "birth_year": born,
            "gender": profile.gender.value if profile.gender else None,
            "interests": [interest.strip() for interest in profile.interests],
            "attributes": dict(profile.attributes),
            "consent": profile.marketing_consent,
        }
        self.profile = (
            at,
            {name: fact for name, fact in facts.items() if fact not in (None, [], {})},
        )
        return True

    def features(self, half_life: float) -> dict[str, Any]:
        """What must be stored; what equals its default is left out there, and so it is here."""
        times = [at for at, _ in self.bought]
        last = max(times, default=0)
        weights = [0.5 ** ((last - at) / DAY_MS / half_life) for at in times]
        spent = zip(weights, self.bought, strict=True)
        found = {
            "orders": len(times),
            "first": min(times, default=0),
            "last": last,
            "spend": sum(micros for _, micros in self.bought),
            "discount": self.discount,
            "lines": self.lines,
            "refunds": len(self.refunds),
            "refunded": sum(self.refunds),
            "d_orders": math.fsum(weights),
            "d_spend": math.fsum(w * micros / 1_000_000 for w, (_, micros) in spent),
            "categories": dict(self.grown),
            "sketch": self.sketch,
            "channels": dict(self.channels),
            "ring": "".join(self.marks[-REMEMBERED:]),
            "profile": self.profile[1] if self.profile else None,
        }
        return {name: value for name, value in found.items() if value not in (0, "", None, {})}


@dataclass
class Part:
    """One partition, counted anew; ``ends``: offset after the last record, by topic."""

    ledgers: dict[str, Ledger] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    ends: dict[str, int] = field(default_factory=dict)
    clock: int = 0


@dataclass
class Input:
    """All of it; ``bad``: what must be in the dead letters, by place."""

    parts: dict[int, Part]
    bad: dict[tuple[str, int, int], tuple[RejectReason, Found]]
    records: int = 0


def recount(records: Iterable[Found], partitions: int, terms: Terms, wall: int) -> Input:
    """Read the input once; ``wall`` is a time (ms) after which nothing was sent."""
    found = Input({p: Part() for p in range(partitions)}, {})
    for record in records:
        part = found.parts[record.partition]
        found.records += 1
        part.ends[record.topic] = record.offset + 1
        event = _decode(record, terms, wall)
        if isinstance(event, RejectReason):
            part.counts["dead"] += 1
            found.bad[record.place] = (event, record)
        else:
            part.counts[_count(part, event, terms)] += 1
    return found


def _count(part: Part, event: Purchase | Profile, terms: Terms) -> str:
    ledger = part.ledgers.setdefault(event.customer_id, Ledger())
    if isinstance(event, Profile):
        return "applied" if ledger.declare(event) else "duplicate"
    if ledger.knows(event.event_id):
        return "duplicate"
    ledger.add(event, terms)
    part.clock = max(part.clock, milliseconds(event.occurred_at))
    return "applied"


def _decode(record: Found, terms: Terms, wall: int) -> Purchase | Profile | RejectReason:
    """Validate by the contract; the reasons come in the order in which the README lists them."""
    contract = Purchase if record.topic == terms.purchases else Profile
    if record.value is None and contract is Profile:
        raise ErasureError(f"{record.place}: a null profile")
    if not record.value:
        return RejectReason.EMPTY
    if len(record.value) > terms.max_bytes:
        return RejectReason.TOO_LARGE
    try:
        event = contract.model_validate_json(record.value)
    except ValidationError as error:
        broken = error.errors()[0]["type"] == "json_invalid"
        return RejectReason.NOT_JSON if broken else RejectReason.INVALID
    return _refusal(record, event, terms, wall) or event


def _refusal(
    record: Found, event: Purchase | Profile, terms: Terms, wall: int
) -> RejectReason | None:
    moment = event.occurred_at if isinstance(event, Purchase) else event.updated_at
    if record.key != event.customer_id.encode():
        return RejectReason.KEY_MISMATCH
    if milliseconds(moment) > wall:
        return RejectReason.IN_THE_FUTURE
    if moment.year < 1990:
        return RejectReason.TOO_OLD
    if isinstance(event, Purchase) and event.currency not in terms.rates:
        return RejectReason.UNKNOWN_CURRENCY
    return None


def _mark(event_id: str) -> str:
    return urlsafe_b64encode(blake2b(event_id.encode(), digest_size=6).digest()).decode()[:6]
