"""Verification: every customer recomputed straight from the input, and every chain walked.

The recomputation shares no formula with the pipeline: it keeps each customer's whole history and
sums it directly, where the pipeline folds event by event. Only the categories, whose bounded table
depends on the order of arrival by design, are replayed in order.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from producers.sources import Record
from stream_app.core.folds import (
    CENT,
    DAY_MS,
    MAX_CATEGORIES,
    MAX_CHANNELS,
    MICROS,
    RING_EVENTS,
    CustomerState,
    ProfileState,
)
from stream_app.demo.watch import Link

TOLERANCE = 1e-3  # what is decayed is rounded at every purchase
SHOWN = 20
MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class History:
    """Everything one customer did, as the input says; ``bought`` as (ms, micros) pairs."""

    ids: list[str] = field(default_factory=list)
    bought: list[tuple[int, int]] = field(default_factory=list)
    refunded: list[int] = field(default_factory=list)
    discount: int = 0
    lines: int = 0
    channels: Counter[str] = field(default_factory=Counter)
    spent: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    profile: dict[str, Any] | None = None

    def add(self, event: dict[str, Any], rates: Mapping[str, float]) -> None:
        """Take a purchase or refund, unless its id is among the last 16."""
        if event["event_id"] in self.ids[-RING_EVENTS:]:
            return
        self.ids.append(event["event_id"])
        rate = rates[event.get("currency", "USD")]
        if event.get("type") == "refund":
            self.refunded.append(round(event["total"] * rate * MICROS))
            return
        at = _ms(event["occurred_at"])
        self.bought.append((at, round(event["total"] * rate * MICROS)))
        self.discount += round(event.get("discount", 0.0) * rate * MICROS)
        items = event.get("items", ())
        self.lines += len(items)
        if event.get("channel"):
            self.channels[event["channel"].strip()] += 1
        self.spent.append((at, _by_category(items, rate)))

    def declare(self, profile: dict[str, Any]) -> None:
        """Take a profile, unless a newer one is known."""
        if self.profile is None or _ms(profile["updated_at"]) > _ms(self.profile["updated_at"]):
            self.profile = profile


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict; ``problems`` are the first few sentences that say what differs."""

    customers: int
    moves: int
    problems: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether everything agreed."""
        return not self.problems


def histories(records: Iterable[Record], rates: Mapping[str, float]) -> dict[str, History]:
    """Collect every customer's history from the input."""
    found: dict[str, History] = {}
    decode = msgspec.json.decode
    for record in records:
        history = found.setdefault(record.customer_id, History())
        event = decode(record.value)
        if record.kind == "profile":
            history.declare(event)
        else:
            history.add(event, rates)
    return found


def verify(
    expected: Mapping[str, History],
    states: Mapping[str, CustomerState | None],
    chains: Mapping[str, Mapping[int, Link]],
    half_life_days: float,
    *,
    served: bool = False,
) -> Verification:
    """Compare the stored states with the input, and the published chains with the states.

    ``served``: a model serves, so that everybody who ever bought must have a segment.
    """
    problems = [
        f"{customer}: {problem}"
        for customer, history in expected.items()
        for problem in _differences(history, states.get(customer), half_life_days)
    ]
    problems += [
        f"{customer}: {problem}"
        for customer, state in states.items()
        if state is not None
        for problem in _breaks(chains.get(customer, {}), state, served=served)
    ]
    problems += [
        f"{customer}: moves without an input" for customer in chains if customer not in expected
    ]
    return Verification(
        len(expected), sum(len(c) for c in chains.values()), tuple(problems[:SHOWN])
    )


def _differences(
    history: History, state: CustomerState | None, half_life_days: float
) -> Iterable[str]:
    if state is None:
        yield "not in the store"
        return
    for name, wanted in _recompute(history, half_life_days).items():
        found = getattr(state, name)
        if not _equal(wanted, found):
            yield f"{name} is {found!r}, the input says {wanted!r}"
    if history.profile is not None and not _same_profile(history.profile, state.profile):
        yield "the profile differs"


def _same_profile(declared: dict[str, Any], found: ProfileState | None) -> bool:
    updated = datetime.fromisoformat(declared["updated_at"])
    born, age = declared.get("birth_year"), declared.get("age")
    return found == ProfileState(
        updated=_ms(declared["updated_at"]),
        birth_year=updated.year - age if born is None and age is not None else born,
        gender=declared.get("gender"),
        interests=tuple(declared.get("interests", ())),
        attributes=declared.get("attributes", {}),
        consent=declared.get("marketing_consent"),
    )


def _ms(moment: str) -> int:
    return (datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND


def _recompute(history: History, half_life_days: float) -> dict[str, Any]:
    times = [at for at, _ in history.bought]
    last = max(times, default=0)
    weights = [0.5 ** ((last - at) / DAY_MS / half_life_days) for at in times]
    amounts = [micros for _, micros in history.bought]
    return {
        "orders": len(times),
        "first": min(times, default=0),
        "last": last,
        "spend": sum(amounts),
        "discount": history.discount,
        "lines": history.lines,
        "refunds": len(history.refunded),
        "refunded": sum(history.refunded),
        "decayed_orders": math.fsum(weights),
        "decayed_spend": math.fsum(w * a / MICROS for w, a in zip(weights, amounts, strict=True)),
        "categories": _categories(history, half_life_days),
        **({"channels": dict(history.channels)} if len(history.channels) < MAX_CHANNELS else {}),
    }


def _categories(history: History, half_life_days: float) -> dict[str, int]:
    """Decayed spend in cents of the categories that survive, as of the last purchase.

    Every step rounds to the cent, so the steps have to be the pipeline's.
    """
    kept: dict[str, int] = {}
    last = history.spent[0][0] if history.spent else 0
    for at, amounts in history.spent:
        decay = 0.5 ** (abs(at - last) / (half_life_days * DAY_MS))
        if at > last:
            kept, last = {name: int(cents * decay + 0.5) for name, cents in kept.items()}, at
            decay = 1.0
        for name, micros in amounts.items():
            kept[name] = kept.get(name, 0) + int(decay * micros / CENT + 0.5)
        while len(kept) > MAX_CATEGORIES:
            del kept[min(kept, key=lambda n: (kept[n], n))]
    return kept


def _by_category(items: Iterable[dict[str, Any]], rate: float) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for item in items:
        if item.get("category"):
            amount = item.get("quantity", 1.0) * item.get("unit_price", 0.0)
            sums[item["category"].strip()] += round(amount * rate * MICROS)
    return dict(sums)


def _equal(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, float):
        return math.isclose(wanted, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(wanted, dict):
        return wanted.keys() == found.keys() and all(_equal(v, found[k]) for k, v in wanted.items())
    return bool(wanted == found)


def _breaks(chain: Mapping[int, Link], state: CustomerState, *, served: bool) -> Iterable[str]:
    """Walk a chain: 1..n without holes, each previous the former current, the end as stored."""
    if served and state.orders and not state.segment:
        yield "has no segment although a model serves"
    if sorted(chain) != list(range(1, state.sequence + 1)):
        yield f"{len(chain)} moves were published, the store has counted {state.sequence}"
        return
    former: Any = None
    for sequence in sorted(chain):
        if chain[sequence].previous != former:
            yield f"move {sequence} starts from {chain[sequence].previous}, not from {former}"
        former = chain[sequence].current
    if former and (former.id, former.name) != (state.segment, state.segment_name):
        yield f"the last move leads to {former}, the store says {state.segment_name}"
