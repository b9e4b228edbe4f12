"""Dead letters read back, chosen and checked."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stream_app.contracts import RejectReason
from stream_app.core.events import Rejected
from stream_app.core.letters import (
    Letter,
    Tally,
    Wanted,
    obstacle,
    parse_since,
    printable,
    read_letter,
    refused_now,
)
from stream_app.core.messages import (
    MAX_DEAD_LETTER_BYTES,
    Headers,
    dead_letter_message,
    dead_letter_of,
)
from tests.builders import DEAD, FAR, LIMITS, PROFILES, PURCHASES, ARecord, a_record, day

TOPICS = (PURCHASES, PROFILES)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def a_letter(
    record: ARecord | None = None,
    reason: RejectReason = RejectReason.NOT_JSON,
    topic: str = PURCHASES,
    at: float = 0,
) -> Letter:
    """A refused record as it is read back from the dead-letter topic."""
    bad = record or ARecord(7, b"ann", b"{")
    sent = dead_letter_message(DEAD, bad, Rejected(reason, "no JSON"), (topic, 2), day(at))
    found = read_letter(ARecord(99, sent.key, sent.value, headers=sent.headers))
    assert found is not None
    return found


def test_key_value_and_headers_come_back_as_they_were() -> None:
    original: Headers = (("trace", b"\x00\xff"), ("none", None), ("trace", b"again"))
    record = ARecord(7, b"\xff", b"\x00{", headers=original)

    message = a_letter(record).again()

    assert (message.topic, message.key, message.value) == (PURCHASES, b"\xff", b"\x00{")
    assert message.headers == (*original, ("replayed-from", b"purchases-2-7"))


def test_headers_that_a_sender_called_like_ours_stay_the_senders() -> None:
    original = (("dlq-reason", b"theirs"), ("dlq-offset", b"x"), ("dlq-colour", b"red"))

    letter = a_letter(ARecord(7, None, b"{", headers=original))

    assert letter.headers == original
    assert letter.facts.reason is RejectReason.NOT_JSON


def test_consumers_of_dead_letters_are_not_misled_by_such_headers_either() -> None:
    original = (("dlq-reason", b"theirs"), ("dlq-colour", b"red"))
    bad, why = ARecord(7, None, b"{", headers=original), Rejected(RejectReason.EMPTY, "none")

    message = dead_letter_message(DEAD, bad, why, (PURCHASES, 2), day(0))

    assert dead_letter_of(message.headers).reason is RejectReason.EMPTY


def test_a_letter_refused_twice_carries_both_journeys() -> None:
    first = a_letter()
    back = first.again()

    second = a_letter(ARecord(31, back.key, back.value, headers=back.headers))

    assert second.again().headers == (
        ("replayed-from", b"purchases-2-7"),
        ("replayed-from", b"purchases-2-31"),
    )


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("dlq-reason", b"not-json"),),
        (("dlq-reason", b"\xff"), ("dlq-detail", b"x")),
    ],
)
def test_what_is_no_letter_is_none(headers: Headers) -> None:
    assert read_letter(ARecord(0, None, b"x", headers=headers)) is None


def test_two_copies_of_a_letter_share_a_mark_and_another_record_in_its_place_does_not() -> None:
    letter = a_letter()

    assert a_letter(at=3).mark == letter.mark
    assert a_letter(ARecord(7, b"ann", b"[")).mark != letter.mark
    assert a_letter(ARecord(7, b"ann{", b"")).mark != letter.mark
    assert a_letter(topic=PROFILES).mark != letter.mark


def test_letters_are_wanted_by_id_or_by_all_filters() -> None:
    letter = a_letter(at=1)
    since = datetime(2026, 1, 2, tzinfo=UTC)

    assert letter in Wanted()
    assert letter in Wanted({"purchases-2-7"})
    assert letter not in Wanted({"purchases-2-8"})
    assert letter in Wanted(reason=RejectReason.NOT_JSON, since=since)
    assert letter not in Wanted(reason=RejectReason.EMPTY, since=since)
    assert a_letter(at=0) not in Wanted(since=since)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", datetime(2026, 1, 2, 11, 58, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 1, 2, 10, tzinfo=UTC)),
        (" 1w ", datetime(2025, 12, 26, 12, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T10:00+02:00", datetime(2026, 1, 1, 8, tzinfo=UTC)),
    ],
)
def test_since_is_a_span_or_a_date(text: str, moment: datetime) -> None:
    assert parse_since(text, NOON) == moment


@pytest.mark.parametrize("text", ["yesterday", "2 h", "h", "-2h", "2026-13-01"])
def test_since_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_since(text, NOON)


def test_a_repaired_setting_shows_before_anything_is_sent() -> None:
    letter = a_letter(a_record(7, currency="GBP"), RejectReason.UNKNOWN_CURRENCY)

    before = refused_now(letter, TOPICS, LIMITS, FAR)
    after = refused_now(letter, TOPICS, replace(LIMITS, rates={"GBP": 1.3}), FAR)

    assert before is not None
    assert before.reason is RejectReason.UNKNOWN_CURRENCY
    assert after is None


def test_profiles_are_judged_as_profiles() -> None:
    erasure = ARecord(7, b"ann", None)

    assert refused_now(a_letter(erasure, topic=PROFILES), TOPICS, LIMITS, FAR) is None
    assert refused_now(a_letter(erasure), TOPICS, LIMITS, FAR) is not None


def test_a_cut_value_or_a_strange_topic_cannot_be_sent_again() -> None:
    huge = a_letter(ARecord(7, None, b"x" * (MAX_DEAD_LETTER_BYTES + 1)))

    assert "of 960,001 bytes 960,000 left" in (obstacle(huge, TOPICS) or "")
    assert "topic other" in (obstacle(a_letter(topic="other"), TOPICS) or "")
    assert obstacle(a_letter(), TOPICS) is None


def test_a_tally_counts_letters_and_what_nobody_has_handled() -> None:
    letters = [a_letter(at=2), a_letter(at=1), a_letter(at=3)]
    row = Tally.empty(letters[0])

    for letter in letters:
        row.add(letter, handled=letter is letters[1])

    first, last = letters[1].facts.failed_at, letters[2].facts.failed_at
    assert row == Tally(3, 2, first, last)


def test_only_what_steers_a_terminal_is_escaped() -> None:
    assert printable("Müller ☕\n\x1b[2J\x9b\x00") == "Müller ☕\n\\x1b[2J\\x9b\\x00"
