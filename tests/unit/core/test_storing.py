"""A customer as stored: what comes back, and how long it is."""

import msgspec

from stream_app.core.folds import (
    CustomerState,
    ProfileState,
    fold_order,
    fold_profile,
    packed,
    unpacked,
)
from tests.builders import FEATURES, a_state, an_order, day

HALF_LIFE_MS = FEATURES.half_life_ms


def a_heavy_customer() -> CustomerState:
    """A customer whose every bounded part is full."""
    wares = tuple((f"category number {i:02}", 12_345_678) for i in range(20))
    state = CustomerState(segment=7, segment_name="Potential loyalists", sequence=250, model=93)
    state.entered, state.due = day(1), day(2)
    for i in range(2000):
        order = an_order(f"e{i}", i / 7, 1234.56, discount=7, channel=f"channel {i % 30}")
        fold_order(state, order._replace(categories=wares, lines=20), HALF_LIFE_MS)
    attributes = {f"attribute {i}": f"value {i}" for i in range(16)}
    interests = tuple(f"interest {i}" for i in range(16))
    fold_profile(state, ProfileState(day(0), 1980, "female", interests, attributes, consent=True))
    return state


def test_a_state_survives_storing_and_stays_small() -> None:
    state = a_heavy_customer()

    assert unpacked(packed(state)) == state
    assert len(packed(state)) < 2_000
    assert len(packed(a_state())) < 100


def test_a_state_that_was_stored_as_json_by_an_earlier_version_is_read() -> None:
    for state in (a_heavy_customer(), a_state()):
        assert unpacked(msgspec.json.encode(state)) == state


def test_sums_beyond_64_bits_survive_storing() -> None:
    wares = (("Gold", 10**9 * 10**6 * 10**3 * 10**6),)
    state = a_state(an_order("e1", categories=wares), an_order("e2", total=1e15))

    assert max(state.categories.values()) > 2**64
    assert unpacked(packed(state)) == state


def test_a_stored_state_is_a_plain_array_in_the_order_of_its_fields() -> None:
    stored = msgspec.msgpack.decode(packed(a_state(an_order("e1", 0, 12.5, channel="web"))))

    assert stored[:8] == [1, day(0), day(0), 12_500_000, 0, 1, 0, 0]
    assert stored[12] == {"web": 1}
    assert len(stored) == len(CustomerState.__struct_fields__)
