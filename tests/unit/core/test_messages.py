import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stream_app.contracts import RejectReason, SegmentChanged
from stream_app.core.events import Rejected, to_datetime
from stream_app.core.messages import (
    HEADER_BYTES,
    MAX_DEAD_LETTER_BYTES,
    Outgoing,
    change_message,
    dead_letter_message,
    dead_letter_of,
    erasure_message,
)
from stream_app.core.transitions import Judge
from tests.builders import (
    DEAD,
    ARecord,
    a_state,
    day,
    judged,
    serving,
)

BROKER_LIMIT = 1_048_576
REFUSED = Rejected(RejectReason.INVALID, "total: not a number – naïve")


def a_change() -> SegmentChanged:
    judge = Judge(serving(), 5, day(1), "purchases", 2, replay=True)
    move = judged(judge, a_state(), day(0))
    assert move is not None
    return move


def a_letter(record: ARecord, rejected: Rejected = REFUSED) -> Outgoing:
    return dead_letter_message(DEAD, record, rejected, ("purchases", 3), day(9))


def size(message: Outgoing) -> int:
    headers = sum(len(name.encode()) + len(value or b"") for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def test_a_change_is_a_cloud_event_in_binary_mode() -> None:
    message = change_message("segment-changes", a_change())

    assert (message.topic, message.key) == ("segment-changes", b"ann")
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"2-5-1",
        "ce_source": b"/segmenter/purchases/2",
        "ce_type": b"segmenter.segment-changed.v1",
        "ce_subject": b"ann",
        "ce_time": b"2026-01-01T12:00:00+00:00",
        "content-type": b"application/json",
    }


def test_the_value_of_a_change_is_its_json() -> None:
    message = change_message("segment-changes", change := a_change())

    assert msgspec.json.encode(change) == message.value
    assert SegmentChanged.model_validate_json(message.value or b"").id == "2-5-1"
    assert json.loads(message.value or b"")["current"] == {"id": 1, "name": "Active"}


def test_an_erasure_is_a_tombstone() -> None:
    assert erasure_message("segment-changes", "ann") == Outgoing("segment-changes", b"ann", None)


@given(
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=50),
    headers=st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=4),
    detail=st.text(st.characters(exclude_categories=["Cs"])),
    reason=st.sampled_from(RejectReason),
)
def test_a_dead_letter_keeps_every_byte_and_can_be_read_back(
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes]],
    detail: str,
    reason: RejectReason,
) -> None:
    record = ARecord(12, key, value, headers=tuple(headers))

    message = a_letter(record, Rejected(reason, detail))

    assert (message.topic, message.key, message.value) == (DEAD, key, value)
    assert message.headers[: len(headers)] == tuple(headers)
    letter = dead_letter_of(message.headers)
    assert (letter.reason, letter.detail) == (reason, detail)
    assert (letter.topic, letter.partition, letter.offset) == ("purchases", 3, 12)
    assert letter.failed_at == to_datetime(day(9))


def test_a_dead_letter_that_was_sent_again_tells_its_latest_refusal() -> None:
    first = a_letter(ARecord(1, b"k", b"v"), Rejected(RejectReason.TOO_OLD, "once"))

    second = a_letter(ARecord(2, first.key, first.value, headers=first.headers))

    letter = dead_letter_of(second.headers)
    assert (letter.reason, letter.offset) == (RejectReason.INVALID, 2)


def test_a_header_without_a_value_as_kafka_allows_does_not_stop_a_dead_letter() -> None:
    record = ARecord(1, b"k", b"{", headers=(("trace", None),))

    message = a_letter(record)

    assert dead_letter_of(message.headers).offset == 1
    assert [name for name, _ in message.headers].count("trace") == 1


def test_headers_that_are_no_dead_letter_are_refused() -> None:
    with pytest.raises(ValidationError):
        dead_letter_of([("content-type", b"application/json")])


def test_a_value_too_large_to_be_sent_on_is_cut_and_says_so() -> None:
    value = bytes(range(256)) * 4096

    message = a_letter(ARecord(1, b"key", value, headers=(("trace", b"x" * 992),)))

    assert message.value == value[: MAX_DEAD_LETTER_BYTES - 1000 - HEADER_BYTES]
    assert dict(message.headers)["dlq-truncated"] == str(len(value)).encode()
    assert dead_letter_of(message.headers).offset == 1
    assert size(message) < BROKER_LIMIT


def test_the_largest_value_that_fits_is_not_cut() -> None:
    message = a_letter(ARecord(1, b"k", b"x" * (MAX_DEAD_LETTER_BYTES - 1)))

    assert message.value == b"x" * (MAX_DEAD_LETTER_BYTES - 1)
    assert "dlq-truncated" not in dict(message.headers)


def test_a_long_key_leaves_less_room_for_the_value() -> None:
    message = a_letter(ARecord(1, b"k" * 500_000, b"x" * 548_500))

    assert size(message) < BROKER_LIMIT


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        (b"k" * (BROKER_LIMIT - 100), ()),
        (b"k", (("trace", b"h" * (BROKER_LIMIT - 100)),)),
        (b"k", (("n", b""),) * 150_000),
    ],
)
def test_a_key_or_headers_that_fill_a_record_leave_room_for_the_reason(
    key: bytes, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    message = a_letter(ARecord(1, key, b"{", headers=headers))

    assert size(message) < BROKER_LIMIT
    assert len(message.headers) < 10
    assert key.startswith(message.key or b"")
    assert dict(message.headers)["dlq-truncated"] == b"1"
    assert dead_letter_of(message.headers).offset == 1
