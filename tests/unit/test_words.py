from datetime import timedelta

import pytest

from stream_app.contracts import (
    Driver,
    Facts,
    ModelSnapshot,
    Reason,
    SegmentChanged,
    SegmentRef,
    Source,
)
from stream_app.core.features import OPTIONAL, FeatureSet
from stream_app.words import days, describe, number, phrase
from tests.builders import START, a_snapshot

ACTIVE, QUIET = SegmentRef(id=1, name="Active"), SegmentRef(id=2, name="Quiet")
EVERYTHING = FeatureSet.build(60.0, tuple(OPTIONAL)).names


def a_change(
    reason: Reason = Reason.LAPSE, previous: SegmentRef | None = ACTIVE, *drivers: Driver
) -> SegmentChanged:
    return SegmentChanged(
        id="1342-1-2", customer_id="1342", epoch=1, sequence=2, previous=previous, current=QUIET,
        reason=reason, occurred_at=START, emitted_at=START + timedelta(days=1), model_version=1,
        margin=0.2, drivers=drivers, next_change=None, replay=False,
        facts=Facts(recency_days=61, orders=3, spend=90, average_basket=30),
        source=Source(topic="purchases", partition=0),
    )  # fmt: skip


def a_model(**profile: float) -> ModelSnapshot:
    model = a_snapshot()
    segments = tuple(
        s.model_copy(update={"profile": s.profile | profile} if s.id == 1 else {})
        for s in model.segments
    )
    return model.model_copy(update={"segments": segments})


RECENCY = Driver(feature="recency_days", unit="days", before=3, after=61, typical=58)


def test_a_move_is_told_against_what_was_typical_where_the_customer_comes_from() -> None:
    told = describe(a_change(Reason.LAPSE, ACTIVE, RECENCY), a_model(recency_days=8))

    assert told == "1342 moved Active → Quiet: 61 days since last order, typical for Active 8"


def test_without_a_model_it_is_told_against_the_new_segment() -> None:
    told = describe(a_change(Reason.LAPSE, ACTIVE, RECENCY))

    assert told == "1342 moved Active → Quiet: 61 days since last order, typical for Quiet 58"


def test_a_customer_who_came_back_is_told_by_the_silence_that_ended() -> None:
    back = RECENCY.model_copy(update={"before": 34.0, "after": 0.0})

    told = describe(a_change(Reason.PURCHASE, ACTIVE, back), a_model())

    assert told == "1342 moved Active → Quiet: bought again after 34 days"


def test_a_segment_the_model_does_not_know_falls_back_to_the_new_one() -> None:
    former = SegmentRef(id=77, name="Former")

    assert describe(a_change(Reason.LAPSE, former, RECENCY), a_model()).endswith("for Quiet 58")


def test_a_first_assignment_begins_and_a_new_model_moves() -> None:
    assert describe(a_change(Reason.INITIAL, None)) == "1342 begins as Quiet"
    assert describe(a_change(Reason.MODEL)) == "1342 was moved by a new model Active → Quiet"


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (0.0, "0 hours"),
        (1 / 24, "1 hour"),
        (0.5, "12 hours"),
        (0.94, "23 hours"),
        (0.95, "1 day"),
        (1.0, "1 day"),
        (1.49, "1 day"),
        (1.6, "2 days"),
        (365.0, "365 days"),
    ],
)
def test_days_are_said_as_people_say_them(x: float, said: str) -> None:
    assert days(x) == said


@pytest.mark.parametrize(
    ("feature", "x", "said"),
    [
        ("decayed_orders", 3.14, "3.1 recent orders"),
        ("decayed_spend", 1234.5, "1,234 recent spend"),
        ("average_basket", 1234.5, "average basket 1,234.50"),
        ("mean_gap_days", 1.0, "an order every 1 day"),
        ("tenure_days", 300.0, "customer for 300 days"),
        ("discount_share", 0.123, "12% discount"),
        ("refund_share", 0.5, "50% refunded"),
        ("category_breadth", 4.4, "4 categories"),
        ("age", 45.0, "age 45"),
        ("interest_affinity", 0.75, "75% of spend on declared interests"),
    ],
)
def test_every_feature_has_words_of_its_own(feature: str, x: float, said: str) -> None:
    assert phrase(feature, x) == said


def test_every_feature_there_is_can_be_said_and_written() -> None:
    for feature in EVERYTHING:
        assert phrase(feature, 1.0)
        assert "_" not in phrase(feature, 1.0)
        assert float(number(feature, 0.0).rstrip("%")) == 0


def test_numbers_keep_the_digits_that_matter() -> None:
    assert [number("recency_days", x) for x in (0.04, 0.5, 1.0, 61.4)] == ["0.0", "0.5", "1", "61"]
    assert number("average_basket", 0.5) == "0.50"
    assert number("decayed_spend", 12345.6) == "12,346"
