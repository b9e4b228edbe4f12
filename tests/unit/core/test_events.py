import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stream_app.contracts import RejectReason
from stream_app.core.events import (
    Erasure,
    Limits,
    ProfileUpdate,
    Rejected,
    decode_profile,
    decode_purchase,
    to_datetime,
    to_ms,
)
from stream_app.core.folds import Order
from tests.builders import FAR, LIMITS, START, ARecord, a_profile_record, a_record, day

ITEM = {"sku": "1", "category": "tea", "quantity": 2, "unit_price": 1.5}


def a_value(value: bytes | None, key: bytes | None = b"ann") -> ARecord:
    return ARecord(0, key, value)


def decoded(record: ARecord, wall: int = FAR, limits: Limits = LIMITS) -> Order:
    order = decode_purchase(record, limits, wall)
    assert isinstance(order, Order)
    return order


def refused(record: ARecord, wall: int = FAR, limits: Limits = LIMITS) -> Rejected:
    rejected = decode_purchase(record, limits, wall)
    assert isinstance(rejected, Rejected)
    return rejected


def test_a_purchase_becomes_an_order_in_micros() -> None:
    items = [ITEM, {"category": "jam", "unit_price": 3}, {"category": " tea ", "unit_price": 0.25}]
    items.append({"unit_price": 99})
    record = a_record(discount=2.5, channel=" web ", items=items)

    assert decoded(record) == Order(
        "e0", "ann", day(0), refund=False, total=20_000_000, discount=2_500_000, lines=4,
        categories=(("tea", 3_250_000), ("jam", 3_000_000)), channel="web",
    )  # fmt: skip


def test_a_refund_is_an_order_too() -> None:
    assert decoded(a_record(type="refund")).refund


def test_amounts_are_converted_to_the_base_currency() -> None:
    order = decoded(a_record(currency="EUR", total=10, discount=1, items=[ITEM]))

    assert (order.total, order.discount) == (11_000_000, 1_100_000)
    assert order.categories == (("tea", 3_300_000),)


@pytest.mark.parametrize("value", [None, b""])
def test_a_purchase_without_a_value_is_empty(value: bytes | None) -> None:
    assert refused(a_value(value)).reason is RejectReason.EMPTY


def test_size_is_looked_at_before_anything_is_parsed() -> None:
    too_large = refused(a_value(b"\xff" * 65_537))
    assert too_large.reason is RejectReason.TOO_LARGE
    said = "65,537 bytes; at most 65,536 are read (SEGMENTER_MAX_EVENT_BYTES)"
    assert too_large.detail == said
    assert refused(a_value(b"\xff" * 65_536)).reason is RejectReason.NOT_JSON


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"not json",
        b"\x00\x01",
        b"[" * 60_000,
        b'{"items":' * 7_000,
        b'{"event_id": "\xff"}',
        b'{"event_id": "\\ud800"}',
        b'{"total": 1} {"total": 2}',
    ],
)
def test_what_is_no_json_is_said_to_be_no_json(value: bytes) -> None:
    rejected = refused(a_value(value))

    assert rejected.reason is RejectReason.NOT_JSON
    assert "line" in rejected.detail


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-0.01", "1e10"])
@pytest.mark.parametrize("field", ["total", "discount"])
def test_amounts_that_are_no_amounts_are_refused(number: str, field: str) -> None:
    body = json.loads(a_record().value or b"") | {field: 1}
    value = json.dumps(body).replace(f'"{field}": 1', f'"{field}": {number}')

    rejected = refused(a_value(value.encode()))

    assert rejected.reason in {RejectReason.INVALID, RejectReason.NOT_JSON}
    if rejected.reason is RejectReason.INVALID:
        assert rejected.detail.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"total": "20"}, "total"),
        ({"total": None}, "total"),
        ({"total": True}, "total"),
        ({"total": [20]}, "total"),
        ({"occurred_at": "2026-01-01T12:00:00"}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"type": "return"}, "type"),
        ({"currency": "usd"}, "currency"),
        ({"schema_version": 2}, "schema_version"),
        ({"event_id": "caf\u00e9"}, "event_id"),
        ({"event_id": ""}, "event_id"),
        ({"customer_id": "x" * 129}, "customer_id"),
        ({"customer_id": "\u540d"}, "customer_id"),
        ({"customer_id": 42}, "customer_id"),
        ({"channel": "  "}, "channel"),
        ({"items": {}}, "items"),
        ({"items": [ITEM, ITEM | {"quantity": -1}]}, "items.1.quantity"),
        ({"items": [{}] * 1001}, "items"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], where: str) -> None:
    rejected = refused(a_record(**fields))

    assert rejected.reason is RejectReason.INVALID
    assert rejected.detail.startswith(f"{where}: ")


def test_several_wrong_fields_are_counted() -> None:
    assert refused(a_record(total=-1, discount=-1, type="x")).detail.endswith("(and 2 more)")


@pytest.mark.parametrize("value", [b"null", b"[]", b"42", b'"text"'])
def test_json_that_is_no_object_is_invalid(value: bytes) -> None:
    rejected = refused(a_value(value))

    assert rejected.reason is RejectReason.INVALID
    assert rejected.detail.startswith("the value: ")


@pytest.mark.parametrize(
    ("key", "said"),
    [(None, "it is missing"), (b"bob", "it is 'bob'"), (b"\xff", "it is '\ufffd'"), (b"", "''")],
)
def test_the_key_must_be_the_customer(key: bytes | None, said: str) -> None:
    rejected = refused(a_value(a_record().value, key))

    assert rejected.reason is RejectReason.KEY_MISMATCH
    assert "the customer_id 'ann'" in rejected.detail
    assert said in rejected.detail


def test_the_future_begins_exactly_after_the_allowed_skew() -> None:
    at = day(0)

    assert decoded(a_record(), wall=at - LIMITS.max_skew).at == at
    rejected = refused(a_record(), wall=at - LIMITS.max_skew - 1)
    assert rejected.reason is RejectReason.IN_THE_FUTURE
    assert "2026-01-01T12:00:00+00:00" in rejected.detail
    assert "300 s (SEGMENTER_MAX_SKEW_SECONDS)" in rejected.detail


def test_the_oldest_event_is_accepted_and_one_before_is_too_old() -> None:
    assert decoded(a_record(occurred_at="1990-01-01T00:00:00Z")).at == LIMITS.oldest
    rejected = refused(a_record(occurred_at="1989-12-31T23:59:59.999Z"))
    assert rejected.reason is RejectReason.TOO_OLD
    assert "before 1990-01-01 (SEGMENTER_OLDEST_EVENT)" in rejected.detail


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("0001-01-01T00:00:00+14:00", RejectReason.TOO_OLD),
        ("0001-01-01T00:00:00+23:59", RejectReason.TOO_OLD),
        ("9999-12-31T23:59:59.999999-14:00", RejectReason.IN_THE_FUTURE),
        ("9999-12-31T23:59:59.999999-23:59", RejectReason.IN_THE_FUTURE),
    ],
)
def test_the_ends_of_the_calendar_are_refused_in_order(moment: str, reason: RejectReason) -> None:
    assert refused(a_record(occurred_at=moment)).reason is reason
    profile = decode_profile(a_profile_record(updated_at=moment), LIMITS, FAR)
    assert isinstance(profile, Rejected)
    assert profile.reason is reason


def test_an_unknown_currency_says_which_are_known_and_how_to_add_one() -> None:
    rejected = refused(a_record(currency="GBP"))

    assert rejected.reason is RejectReason.UNKNOWN_CURRENCY
    said = "no rate for currency GBP; known: EUR, USD (SEGMENTER_RATES adds one)"
    assert rejected.detail == said


def test_a_profile_keeps_what_was_declared() -> None:
    record = a_profile_record(
        gender="female", birth_year=1980, age=99, interests=["tea"], attributes={"income": "50K"},
        marketing_consent=False,
    )  # fmt: skip
    update = decode_profile(record, LIMITS, FAR)

    assert isinstance(update, ProfileUpdate)
    profile = update.profile
    assert (update.customer_id, profile.updated) == ("ann", day(0))
    assert (profile.birth_year, profile.gender, profile.consent) == (1980, "female", False)
    assert (profile.interests, profile.attributes) == (("tea",), {"income": "50K"})


def test_an_age_becomes_a_birth_year() -> None:
    update = decode_profile(a_profile_record(age=46), LIMITS, FAR)

    assert isinstance(update, ProfileUpdate)
    assert update.profile.birth_year == START.year - 46


def test_a_profile_is_held_to_its_key_and_its_time_as_well() -> None:
    body = a_profile_record().value
    other_key = decode_profile(a_value(body, b"bob"), LIMITS, FAR)
    too_early = decode_profile(a_profile_record(), LIMITS, day(-1))

    assert isinstance(other_key, Rejected)
    assert other_key.reason is RejectReason.KEY_MISMATCH
    assert isinstance(too_early, Rejected)
    assert too_early.reason is RejectReason.IN_THE_FUTURE


def test_a_null_profile_is_an_erasure() -> None:
    assert decode_profile(a_value(None), LIMITS, FAR) == Erasure("ann")


@pytest.mark.parametrize("key", [None, b"", b"two words", b"\xff", b"x" * 129, "名".encode()])
def test_an_erasure_needs_a_key_that_is_a_customer(key: bytes | None) -> None:
    rejected = decode_profile(a_value(None, key), LIMITS, FAR)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is RejectReason.KEY_MISMATCH
    assert "needs the customer_id as its key" in rejected.detail


def test_times_are_whole_milliseconds_rounded_down() -> None:
    assert to_ms(datetime(1970, 1, 1, 0, 0, 0, 1_999, UTC)) == 1
    assert to_datetime(day(0)) == START
