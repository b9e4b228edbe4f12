"""What must hold for any record: it becomes an event within the documented limits, or a letter.

``judge`` knows nothing of how decoding works. What was accepted it reads again with the standard
library and holds it against the published schema, the key and the time window; what was refused
must have a reason and come back whole from its dead letter.
"""

import json
import math
import re
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from stream_app.contracts import RejectReason
from stream_app.core.events import (
    Erasure,
    Event,
    ProfileUpdate,
    Rejected,
    decode_profile,
    decode_purchase,
)
from stream_app.core.folds import (
    MICROS,
    CustomerState,
    Order,
    fold_order,
    fold_profile,
    packed,
    unpacked,
)
from stream_app.core.letters import read_letter
from stream_app.core.messages import dead_letter_message
from tests.builders import DEAD, FAR, FEATURES, LIMITS, PROFILES, PURCHASES, ARecord

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
MEBIBYTE = 1_048_576
DETAIL = 800
MONEY = 1e9 * MICROS * max(LIMITS.rates.values())
BASKET = MONEY * 1e6 * 1_000
CUSTOMER = re.compile(r"[A-Za-z0-9_.:@+=/-]{1,128}")
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt _]\d\d:\d\d(:\d\d([.,]\d+)?)?([Zz]|[+\u2212-]\d\d:?\d\d)", re.ASCII
)

_schemas = {
    topic: Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))
    for topic, name in ((PURCHASES, "purchase"), (PROFILES, "profile"))
}
_decoders = {PURCHASES: decode_purchase, PROFILES: decode_profile}


def judge(topic: str, record: ARecord) -> str:
    """Decode a record and check all that must hold; return what became of it.

    Raises AssertionError where something does not hold, and whatever decoding lets escape.
    """
    event: Event = _decoders[topic](record, LIMITS, FAR)
    match event:
        case Rejected():
            _check_refusal(topic, record, event)
            return event.reason.value
        case Erasure(customer_id):
            assert (topic, record.value) == (PROFILES, None)
            assert record.key == customer_id.encode()
            assert CUSTOMER.fullmatch(customer_id)
        case Order():
            _check_conformity(topic, record, "occurred_at")
            _check_order(event)
        case ProfileUpdate():
            _check_conformity(topic, record, "updated_at")
            _check_profile(event)
    return type(event).__name__


def _check_refusal(topic: str, record: ARecord, rejected: Rejected) -> None:
    """Refused for a reason of the sender's, and its letter carries the record unchanged."""
    assert rejected.reason is not RejectReason.HANDLER_ERROR
    assert 0 < len(rejected.detail) <= DETAIL
    sent = dead_letter_message(DEAD, record, rejected, (topic, 3), FAR)
    size = len(sent.key or b"") + len(sent.value or b"")
    size += sum(len(name.encode()) + len(value or b"") for name, value in sent.headers)
    assert size < MEBIBYTE
    letter = read_letter(ARecord(0, sent.key, sent.value, headers=sent.headers))
    assert letter is not None
    assert (letter.facts.reason, letter.facts.detail) == rejected
    assert letter.id == f"{topic}-3-{record.offset}"
    if letter.full_size is None:
        kept = (letter.key, letter.value, letter.headers)
        assert kept == (record.key, record.value, record.headers)
    else:
        assert letter.full_size == len(record.value or b"")
        assert (record.value or b"").startswith(letter.value or b"")
        assert (record.key or b"").startswith(letter.key or b"")
        assert letter.headers in {record.headers, ()}


def _check_conformity(topic: str, record: ARecord, moment: str) -> None:
    """Accepted: so it keeps to the published schema, its key and the time window."""
    assert record.value is not None
    assert len(record.value) <= LIMITS.max_bytes
    body: dict[str, Any] = json.loads(record.value)
    if body.get("schema_version") is True:  # the decoder takes true for 1, a schema does not
        del body["schema_version"]
    _schemas[topic].validate(body)
    assert record.key == body["customer_id"].encode("ascii")
    assert CUSTOMER.fullmatch(body["customer_id"])
    assert MOMENT.fullmatch(body[moment])
    oldest, latest = (datetime.fromtimestamp(ms / 1000, UTC) for ms in _window())
    assert oldest.year <= int(body[moment][:4]) + 1
    assert int(body[moment][:4]) - 1 <= latest.year


def _window() -> tuple[int, int]:
    return LIMITS.oldest, FAR + LIMITS.max_skew


def _check_order(order: Order) -> None:
    """Whole numbers within the limits, and features that are finite and survive the store."""
    oldest, latest = _window()
    assert CUSTOMER.fullmatch(order.event_id)
    assert oldest <= order.at <= latest
    assert type(order.total) is int
    assert type(order.discount) is int
    assert 0 <= order.total <= MONEY
    assert 0 <= order.discount <= MONEY
    assert 0 <= order.lines <= 1_000
    assert all(type(micros) is int and 0 <= micros <= BASKET for _, micros in order.categories)
    _check_labels(chain((name for name, _ in order.categories), filter(None, [order.channel])))
    state = CustomerState()
    fold_order(state, order, FEATURES.half_life_ms)
    _check_state(state)


def _check_profile(update: ProfileUpdate) -> None:
    oldest, latest = _window()
    profile = update.profile
    assert oldest <= profile.updated <= latest
    assert profile.birth_year is None or 1990 - 131 <= profile.birth_year <= 2_100
    assert len(profile.interests) <= 16
    assert len(profile.attributes) <= 16
    _check_labels(chain(profile.interests, profile.attributes))
    assert all(len(value) <= 128 for value in profile.attributes.values())
    state = CustomerState(orders=1, first=oldest, last=oldest)
    assert fold_profile(state, profile)
    _check_state(state)


def _check_labels(labels: chain[str]) -> None:
    for label in labels:
        assert 0 < len(label) <= 64
        assert label.strip()
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in label)


def _check_state(state: CustomerState) -> None:
    assert not state.orders or all(map(math.isfinite, FEATURES.vector(state, FAR)))
    assert unpacked(packed(state)) == state
