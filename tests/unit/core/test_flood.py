"""When a worker stops rather than refuse everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.contracts import RejectReason
from stream_app.core.events import Rejected
from stream_app.core.flood import FloodGuard
from tests.builders import PROFILES, PURCHASES, ARecord

NOT_JSON = Rejected(RejectReason.NOT_JSON, "expected value at line 1")
EMPTY = Rejected(RejectReason.EMPTY, "the record has no value")


def take(guard: FloodGuard, bad: str, start: int = 0, why: Rejected = NOT_JSON) -> bool:
    """Show a write to the guard: ``x`` is a refused record, ``.`` a good one."""
    records = [ARecord(start + i, None, None) for i in range(len(bad))]
    rejected = {start + i: why for i, mark in enumerate(bad) if mark == "x"}
    return guard.take(PURCHASES, 0, records, rejected)


def test_half_of_the_latest_records_may_be_refused_and_one_more_is_a_flood() -> None:
    guard = FloodGuard(0.5, window=10)

    assert not take(guard, "x.x.x.x.x.")
    assert take(guard, "xx", 10)


def test_a_few_bad_records_right_after_a_start_are_no_flood() -> None:
    guard = FloodGuard(0.5, window=10)

    assert not take(guard, "xxxxx")
    assert not guard.flooded


def test_bad_records_that_are_long_past_do_not_count() -> None:
    guard = FloodGuard(0.5, window=10)

    take(guard, "xxxxx")
    take(guard, "." * 8, 5)

    assert not take(guard, "xxx", 13)


def test_bad_records_early_in_a_large_write_are_past_at_its_end() -> None:
    assert not take(FloodGuard(0.5, window=10), "xxxxxxxxxx" + "." * 10)
    assert take(FloodGuard(0.5, window=10), "." * 10 + "xxxxxxxxxx")


def test_a_limit_of_one_never_stops_anything_and_of_zero_at_once() -> None:
    assert not take(FloodGuard(1.0, window=10), "x" * 50)
    assert take(FloodGuard(0.0, window=10), "...x")


def test_a_flood_is_not_forgotten() -> None:
    guard = FloodGuard(0.5, window=10)
    take(guard, "x" * 6)

    assert take(guard, "." * 50, 6)


def test_the_message_names_the_most_frequent_reason_a_record_the_setting_and_what_to_do() -> None:
    guard = FloodGuard(0.5, window=10)
    take(guard, "..x", why=EMPTY)
    take(guard, "xxxxx", 3)
    guard.take(PROFILES, 3, [ARecord(70, None, None)], {70: EMPTY})

    said = str(guard.error())

    assert "7 of the last 9 records" in said
    assert "more than the 5 allowed (SEGMENTER_DEAD_LETTER_LIMIT)" in said
    assert "(5 times) not-json, for example purchases/0 at offset 7: 'expected value" in said
    assert "segmenter dead-letters list" in said
    assert "segmenter dead-letters resume" in said
    assert "replay --reason not-json" in said


def test_what_a_sender_wrote_cannot_steer_the_terminal() -> None:
    guard = FloodGuard(0.0, window=10)
    take(guard, "x", why=Rejected(RejectReason.INVALID, "\x1b[2Jgone"))

    assert "\x1b" not in str(guard.error())


@pytest.mark.parametrize("limit", [0.1, 0.5, 0.57, 0.9])
@given(marks=st.text(alphabet="x.", max_size=60), cut=st.integers(1, 7))
def test_the_end_of_every_write_is_judged_by_a_plain_count(
    limit: float, marks: str, cut: int
) -> None:
    guard = FloodGuard(limit, window=20)
    flooded = False
    for start in range(0, len(marks), cut):
        seen = marks[: start + cut][-20:]
        flooded = flooded or seen.count("x") > round(20 * limit)
        assert take(guard, marks[start : start + cut], start) == flooded
