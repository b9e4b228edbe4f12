"""What is known of a customer: a fold over events.

Folding is O(1) per event and commutative in event time: late and shuffled events give the same
state, up to float rounding of the decayed sums. Two parts depend on the order of arrival by
design: which duplicates are still remembered (the last 16), and which categories survive when a
customer buys from more than eight.

Times are integer milliseconds since 1970 (UTC), money is integer millionths of the base currency.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

DAY_MS = 86_400_000
MICROS = 1_000_000
CENT = 10_000  # micros
STATE_VERSION = 1
RING_EVENTS = 16
TOKEN_CHARS = 6
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


class ProfileState(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """What the customer declared, as of ``updated`` (ms)."""

    updated: int = 0
    birth_year: int | None = None
    gender: str | None = None
    interests: tuple[str, ...] = ()
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    consent: bool | None = None


class CustomerState(
    msgspec.Struct,
    array_like=True,
    gc=False,
):
    """Everything stored of one customer, in this order: features, then the place in the model.

    Stored as an array: names would be a third of it. ``categories``: decayed spend in cents;
    ``decayed_orders`` and ``decayed_spend`` have 6 and 4 decimals.

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
    categories: dict[str, int] = msgspec.field(default_factory=dict)
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


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(CustomerState).decode
_read_json = msgspec.json.Decoder(CustomerState).decode


def packed(state: CustomerState) -> bytes:
    """Write a state for storing: MessagePack, a quarter shorter than JSON.

    JSON where a sum is beyond 64 bits: a thousand items of a million times a billion are allowed.
    """
    try:
        return _pack(state)
    except OverflowError:
        return msgspec.json.encode(state)


def unpacked(value: bytes) -> CustomerState:
    """Read a stored state."""
    return (_read_json if value.startswith(b"[") else _unpack)(value)


@lru_cache(maxsize=1024)
def token(event_id: str) -> str:
    """36 bits of the id as 6 characters: of 4 billion new events one is taken for a duplicate."""
    mark = urlsafe_b64encode(blake2b(event_id.encode(), digest_size=6).digest()).decode()
    return mark[:TOKEN_CHARS]


def is_duplicate(state: CustomerState, event_id: str) -> bool:
    """Tell whether the id is among the customer's last 16 events."""
    mark, ring = token(event_id), state.ring
    at = ring.find(mark)
    while at % TOKEN_CHARS and at >= 0:
        at = ring.find(mark, at + 1)
    return at >= 0


def remember(state: CustomerState, event_id: str) -> None:
    """Keep the id as the newest of the 16."""
    state.ring = (state.ring + token(event_id))[-RING_EVENTS * TOKEN_CHARS :]


def fold_order(state: CustomerState, order: Order, half_life_ms: float) -> None:
    """Count one purchase or refund, in place."""
    if order.refund:
        state.refunds += 1
        state.refunded += order.total
        return
    weight = _advance(state, order.at, half_life_ms)
    state.orders += 1
    state.spend += order.total
    state.discount += order.discount
    state.lines += order.lines
    # Rounding by hand: round() goes by way of a text.
    state.decayed_orders = int((state.decayed_orders + weight) * 1e6 + 0.5) / 1e6
    spend = state.decayed_spend + weight * order.total / MICROS
    state.decayed_spend = int(spend * 1e4 + 0.5) / 1e4
    _count_categories(state, order.categories, weight)
    if order.channel is not None:
        _count_channel(state.channels, order.channel)


def _advance(state: CustomerState, at: int, half_life_ms: float) -> float:
    """Move the reference time to ``at`` if it is newer; return the weight of an event at ``at``.

    The table of categories is a new one afterwards.
    """
    if not state.orders:
        state.first = state.last = at
        return 1.0
    state.first = min(state.first, at)
    if at <= state.last:
        state.categories = dict(state.categories)
        return float(0.5 ** ((state.last - at) / half_life_ms))
    decay = 0.5 ** ((at - state.last) / half_life_ms)
    state.decayed_orders *= decay
    state.decayed_spend *= decay
    state.categories = {n: int(spent * decay + 0.5) for n, spent in state.categories.items()}
    state.last = at
    return 1.0


def _count_categories(
    state: CustomerState, categories: Sequence[tuple[str, int]], weight: float
) -> None:
    kept, sketch = state.categories, state.sketch
    for name, micros in categories:
        kept[name] = kept.get(name, 0) + int(weight * micros / CENT + 0.5)
        sketch |= _sketched(name)
    state.sketch = sketch
    while len(kept) > MAX_CATEGORIES:
        least = min(kept.values())
        del kept[min([name for name, spent in kept.items() if spent == least])]


@lru_cache(maxsize=4096)
def _sketched(name: str) -> int:
    """One of 64 bits for a category."""
    return 1 << blake2b(name.encode(), digest_size=1).digest()[0] % SKETCH_BITS


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
