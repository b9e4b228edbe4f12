"""The oracle of the soak: content with what the product did, and with no other counts."""

from typing import Any

import pytest

from tests.builders import (
    PROFILES,
    PURCHASES,
)
from tests.evidence import left_behind, verdict
from tests.soak.history import ErasureError
from tests.soak.reading import Evidence, Found


@pytest.fixture
async def evidence() -> Evidence:
    return await left_behind()


def test_what_the_product_left_behind_is_right(evidence: Evidence) -> None:
    found = verdict(evidence)

    assert found.problems == []
    assert (found.records, found.customers, found.letters) == (13, 2, 3)
    assert found.moves > 4
    assert (found.lost, found.double, found.wrong_chains) == (0, 0, 0)


def ann(evidence: Evidence) -> dict[str, Any]:
    return evidence.shelves[0].customers["ann"]


FEATURES: dict[str, tuple[str, Any]] = {
    "orders": ("orders is 4, the input says 3", 4),
    "first": ("first is 1", 1),
    "last": ("last is 1", 1),
    "spend": ("spend is 60000001, the input says 60000000", 60_000_001),
    "lines": ("lines is 11", 11),
    "refunds": ("refunds is 2, the input says 1", 2),
    "refunded": ("refunded is 1", 1),
    "discount": ("discount is 1, the input says None", 1),
    "d_orders": ("d_orders is 1.5", 1.5),
    "d_spend": ("d_spend is 1.5", 1.5),
    "categories": ("categories is {'tea': 1.0}", {"tea": 1.0}),
    "sketch": ("sketch is 1", 1),
    "channels": ("channels is {'web': 2}", {"web": 2}),
    "ring": ("ring is 'abcdefgh'", "abcdefgh"),
    "profile": ("profile is {'updated': 1}", {"updated": 1}),
    "unheard_of": ("unheard_of is 1, the input says None", 1),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_that_differs_is_told(evidence: Evidence, name: str) -> None:
    sentence, value = FEATURES[name]
    ann(evidence)[name] = value

    (problem,) = verdict(evidence).problems

    assert problem.startswith(f"ann: {sentence}")


def test_two_events_stored_in_the_other_order_are_told(evidence: Evidence) -> None:
    ring = ann(evidence)["ring"]
    ann(evidence)["ring"] = ring[6:12] + ring[:6] + ring[12:]

    assert [p.split(" is ")[0] for p in verdict(evidence).problems] == ["ann: ring"]


def test_a_lost_customer_and_one_too_many_are_counted(evidence: Evidence) -> None:
    customers = evidence.shelves[0].customers
    customers["joe"] = customers.pop("ann")

    found = verdict(evidence)

    assert (found.lost, found.double) == (4, 4)
    assert any(p.startswith("joe: orders is 3, the input says None") for p in found.problems)


MARKS: dict[str, tuple[str, str]] = {
    f"next:{PURCHASES}": ("9", "the watermark of purchases is 9, the topic ends at 10"),
    f"next:{PROFILES}": ("4", "the watermark of profiles is 4, the topic ends at 3"),
    "count:applied": ("7", "7 records counted as applied, the input has 8"),
    "count:duplicate": ("3", "3 records counted as duplicate, the input has 2"),
    "count:dead": ("2", "2 records counted as dead, the input has 3"),
    "clock": ("1", "the clock is 1, the latest event's time"),
    "count:segment:1": ("7", "segment sizes are counted as {"),
}


@pytest.mark.parametrize("name", MARKS)
def test_a_counter_that_differs_is_told(evidence: Evidence, name: str) -> None:
    value, sentence = MARKS[name]
    evidence.shelves[0].watermark[name] = value

    (problem,) = verdict(evidence).problems

    assert problem.startswith(f"partition 0: {sentence}")


def test_a_null_profile_is_beyond_the_oracle(evidence: Evidence) -> None:
    evidence.profiles = [Found(PROFILES, 0, 0, b"ann", None, ())]

    with pytest.raises(ErasureError):
        verdict(evidence)
