"""Any bytes decode to a value; events in any order fold to the same state."""

import json
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.events import Erasure, ProfileUpdate, Rejected, decode_profile, decode_purchase
from stream_app.core.folds import (
    MAX_CATEGORIES,
    MICROS,
    CustomerState,
    Order,
    ProfileState,
    fold_profile,
)
from tests.builders import (
    DAY,
    FAR,
    FEATURES,
    LIMITS,
    ARecord,
    a_profile_record,
    a_record,
    a_state,
    day,
)

CATEGORIES = st.sampled_from([f"c{i}" for i in range(MAX_CATEGORIES)])
MONEY = st.integers(0, 10**12)
DAYS = 3 * 365
FLOATS = {"decayed_orders", "decayed_spend", "categories"}

ITEM = {"sku": "1", "category": "tea", "quantity": 2, "unit_price": 1.5}
FULL_PURCHASE = a_record(discount=1, currency="EUR", channel="web", items=[ITEM]).value or b""
FULL_PROFILE = (
    a_profile_record(age=40, gender="male", interests=["tea"], attributes={"a": "b"}).value or b""
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())


@st.composite
def mutations(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid event with some fields replaced, and then perhaps some bytes."""
    body: dict[str, Any] = json.loads(valid)
    for field in draw(st.sets(st.sampled_from(sorted(body)), max_size=2)):
        body[field] = draw(JSON | MOMENTS)
    value = bytearray(json.dumps(body).encode())
    for at in draw(st.lists(st.integers(0, len(value) - 1), max_size=2)):
        value[at] = draw(st.integers(0, 255))
    return bytes(value)


@given(
    key=st.none() | st.binary(max_size=20) | st.just(b"ann"),
    purchase=st.binary() | mutations(FULL_PURCHASE),
    profile=st.none() | st.binary() | mutations(FULL_PROFILE),
)
def test_no_bytes_ever_raise_and_a_refusal_always_says_why(
    key: bytes | None, purchase: bytes, profile: bytes | None
) -> None:
    order = decode_purchase(ARecord(0, key, purchase), LIMITS, FAR)
    update = decode_profile(ARecord(0, key, profile), LIMITS, FAR)

    assert isinstance(order, Order | Rejected)
    assert isinstance(update, ProfileUpdate | Erasure | Rejected)
    for event in (order, update):
        if isinstance(event, Rejected):
            assert event.detail
            event.detail.encode()
        else:
            assert event.customer_id.encode() == key


@st.composite
def orders(draw: st.DrawFn) -> list[Order]:
    """Events of one customer with distinct ids; at most 8 categories and 7 channels."""
    return [
        Order(
            event_id=f"e{i}",
            customer_id="ann",
            at=day(0) + draw(st.integers(0, DAYS * DAY)),
            refund=draw(st.booleans()),
            total=draw(MONEY),
            discount=draw(MONEY),
            lines=draw(st.integers(0, 40)),
            categories=tuple(draw(st.dictionaries(CATEGORIES, MONEY, max_size=4)).items()),
            channel=draw(st.none() | st.sampled_from(["web", "app", "store"])),
        )
        for i in range(draw(st.integers(1, 12)))
    ]


def parts(state: CustomerState) -> tuple[dict[str, object], dict[str, float], dict[str, float]]:
    """What must be equal exactly, and what up to rounding; the ring follows arrival by design."""
    fields = msgspec.structs.asdict(state)
    fields.pop("ring")
    exact = {k: v for k, v in fields.items() if k not in FLOATS}
    decayed = {"orders": state.decayed_orders, "spend": state.decayed_spend}
    cents = {f"category {k}": v / 100 for k, v in state.categories.items()}
    return exact, decayed, cents


@given(orders().flatmap(lambda o: st.tuples(st.just(o), st.permutations(o))))
def test_shuffled_events_give_the_same_state(histories: tuple[list[Order], list[Order]]) -> None:
    (exact, decayed, cents), (other_exact, other_decayed, other_cents) = (
        parts(a_state(*h)) for h in histories
    )

    assert exact == other_exact
    assert decayed == pytest.approx(other_decayed, rel=1e-9, abs=1e-4 * len(histories[0]))
    assert cents == pytest.approx(other_cents, abs=0.01 * len(histories[0]))


@given(orders())
def test_every_sum_equals_the_direct_formula(history: list[Order]) -> None:
    state = a_state(*history)
    bought = [o for o in history if not o.refund]
    last = max((o.at for o in bought), default=0)
    weights = [2.0 ** (-(last - o.at) / DAY / FEATURES.half_life_days) for o in bought]

    assert state.orders == len(bought)
    assert state.refunds == len(history) - len(bought)
    assert state.spend == sum(o.total for o in bought)
    assert state.refunded == sum(o.total for o in history if o.refund)
    assert state.discount == sum(o.discount for o in bought)
    assert state.lines == sum(o.lines for o in bought)
    assert (state.first, state.last) == (min((o.at for o in bought), default=0), last)
    assert state.decayed_orders == pytest.approx(sum(weights), abs=1e-6 * len(bought))
    spend = sum(w * o.total / MICROS for w, o in zip(weights, bought, strict=True))
    assert state.decayed_spend == pytest.approx(spend, rel=1e-9, abs=1e-4 * len(bought))
    assert sum(state.channels.values()) == sum(o.channel is not None for o in bought)


@given(orders(), st.integers(0, 4000 * DAY), st.integers(0, 4000 * DAY))
def test_vectors_are_finite_and_differ_in_recency_alone(
    history: list[Order], one: int, other: int
) -> None:
    state = a_state(*history)
    if not state.orders:
        return
    first, second = (FEATURES.vector(state, day(0) + now) for now in (one, other))

    assert first[1:] == second[1:]
    assert all(0 <= x < float("inf") for x in first)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True))
def test_profiles_in_any_order_leave_the_newest(times: list[int]) -> None:
    for order in permutations(times):
        state = CustomerState()
        for at in order:
            fold_profile(state, ProfileState(at, birth_year=at))
        assert state.profile == ProfileState(max(times), birth_year=max(times))
