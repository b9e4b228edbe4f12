"""Lines of a user's own file become purchases, refunds and baskets, or are skipped."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from producers.sources import SourceError
from tests.foreign import PLAIN, Load, at, only, purchases, write_and_load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return partial(write_and_load, tmp_path)


def test_an_invoice_export_becomes_baskets_with_items(load: Load) -> None:
    table = load(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        '536365,85123A,"HOLDER, WHITE",6,12/1/2010 8:26,2.55,17850.0,United Kingdom\n'
        "536365,71053,LANTERN,2,12/1/2010 8:26,3.39,17850.0,United Kingdom\n"
        "536400,71053,LANTERN,1,12/13/2010 9:00,3.39,17850.0,United Kingdom\n"
    )

    first, second = purchases(table)
    assert first.customer_id == "17850"
    assert first.occurred_at == at(2010, 12, 1, 8, 26)
    assert first.total == pytest.approx(22.08)
    assert [(i.sku, i.quantity, i.unit_price) for i in first.items] == [
        ("85123A", 6, 2.55),
        ("71053", 2, 3.39),
    ]
    assert second.event_id == "536400"


def test_rows_without_a_customer_are_skipped_and_counted(load: Load) -> None:
    table = load(PLAIN + "1,a,2024-01-01,1\n,b,2024-01-01,1\nNaN,c,2024-01-01,1\n")

    assert table.facts.purchases == 1
    assert table.facts.skipped == {"no customer": 2}


def test_negative_quantities_are_refunds_of_a_positive_total(load: Load) -> None:
    table = load(
        "customer_id,invoice,date,quantity,price\nc,C536379,2024-01-01,-2,27.5\n"
        "c,536380,2024-01-02,1,27.5\n"
    )

    refund, purchase = purchases(table)
    assert (refund.type, refund.total, refund.event_id) == ("refund", 55.0, "C536379")
    assert (refund.items[0].quantity, refund.items[0].unit_price) == (2, 27.5)
    assert purchase.type == "purchase"


def test_negative_amounts_are_refunds(load: Load) -> None:
    table = load(PLAIN + "c,a,2024-01-01,-9.5\nc,b,2024-01-02,(3.00)\nc,d,2024-01-03,2\n")

    assert [(p.type, p.total) for p in purchases(table)] == [
        ("refund", 9.5),
        ("refund", 3.0),
        ("purchase", 2.0),
    ]


def test_an_invoice_prefix_marks_refunds_whatever_the_sign(load: Load) -> None:
    table = load(PLAIN + "c,C1,2024-01-01,9.5\nc,1,2024-01-02,9.5\n", refund_prefix="C")

    assert [p.type for p in purchases(table)] == ["refund", "purchase"]


def test_a_discount_line_lowers_its_basket(load: Load) -> None:
    table = load(
        "customer_id,order_id,date,sku,quantity,price\n"
        "c,a,2024-01-01,tea,2,10\nc,a,2024-01-01,voucher,-1,5\n"
    )

    basket = only(table)
    assert (basket.type, basket.total, [i.sku for i in basket.items]) == (
        "purchase",
        15.0,
        ["tea"],
    )


def test_exact_duplicates_are_dropped_and_counted_or_kept(load: Load) -> None:
    text = PLAIN + "c,a,2024-01-01,5\nc,a,2024-01-01,5\nc,a,2024-01-01,6\n"

    dropped, kept = load(text), load(text, keep_duplicates=True)

    assert only(dropped).total == 11
    assert dropped.facts.skipped == {"exact duplicate of another row": 1}
    assert only(kept).total == 16
    assert not kept.facts.skipped


def test_lines_without_an_order_id_are_grouped_by_customer_and_time(load: Load) -> None:
    table = load(
        "customer_id,timestamp,amount\n1,2024-01-01T10:00:00,5\n1,2024-01-01T10:00:00,6\n"
        "2,2024-01-01T10:00:00,7\n1,2024-01-01T10:01:00,8\n1,2024-01-01T10:00:00,-1\n"
    )

    found = sorted((p.customer_id, p.type, p.total) for p in purchases(table))
    assert found == [
        ("1", "purchase", 8.0),
        ("1", "purchase", 11.0),
        ("1", "refund", 1.0),
        ("2", "purchase", 7.0),
    ]
    assert len({p.event_id for p in purchases(table)}) == 4
    assert any("--order-column" in note for note in table.facts.notes)


def test_an_order_id_used_by_two_customers_gives_two_events(load: Load) -> None:
    table = load(PLAIN + "1,a,2024-01-01,5\n2,a,2024-01-01,6\n")

    assert {p.event_id for p in purchases(table)} == {"a", "a:2"}


def test_an_order_total_on_every_row_is_noticed_and_can_be_set(load: Load) -> None:
    rows = [f"1,{order},2024-01-01,5,{sku}\n" for order in range(10) for sku in "ab"]
    text = "customer_id,order_id,date,amount,sku\n" + "".join(rows)

    added, once = load(text), load(text, order_total=True)

    assert any("--order-total" in note for note in added.facts.notes)
    assert {p.total for p in purchases(once)} == {5.0}


def test_a_file_without_amounts_has_totals_of_zero_and_says_so(load: Load) -> None:
    table = load("customer_id,order_id,date\n1,a,2024-01-01\n")

    assert (only(table).total, only(table).type) == (0.0, "purchase")
    assert any("--amount-column" in note for note in table.facts.notes)


def test_rows_out_of_order_are_sorted_by_time(load: Load) -> None:
    table = load(PLAIN + "1,b,2024-01-03,1\n1,a,2024-01-01,1\n2,c,2024-01-02,1\n")

    assert [p.event_id for p in purchases(table)] == ["a", "c", "b"]
    assert [record.at for record in table] == sorted(record.at for record in table)
    assert table.facts.first == next(iter(table)).at


def test_ids_a_key_may_not_hold_are_escaped_and_counted(load: Load) -> None:
    table = load(PLAIN + "Zoë B,#1,2024-01-01,1\nok@x.org,2,2024-01-02,1\n")

    assert [p.customer_id for p in purchases(table)] == ["Zo=C3=AB=20B", "ok@x.org"]
    assert purchases(table)[0].event_id == "=231"
    assert any("1 customer ids" in note for note in table.facts.notes)


def test_ids_that_are_too_long_are_skipped_and_counted(load: Load) -> None:
    table = load(PLAIN + f"{'x' * 200},1,2024-01-01,1\nok,{'y' * 200},2024-01-02,1\n")

    assert table.facts.skipped == {"customer id longer than 128 characters": 1}
    assert len(only(table).event_id) == 32


def test_what_cannot_be_a_purchase_is_skipped_under_its_reason(load: Load) -> None:
    table = load(
        "customer_id,order_id,date,amount,currency\n"
        "1,a,2024-01-01,1,EUR\n1,b,2024-01-01,lots,EUR\n1,c,2024-01-01,2e9,EUR\n"
        "1,d,2024-01-01,1,euro\n1,e,2024-01-01\n1,f,2024-01-01,inf,EUR\n"
    )

    assert only(table).currency == "EUR"
    assert table.facts.skipped == {
        "unreadable number": 2,
        "amount over 1,000,000,000 or quantity over 1,000,000": 1,
        "currency is no three-letter code": 1,
        "other than 5 cells": 1,
    }


def test_a_file_without_a_usable_row_says_why(load: Load) -> None:
    with pytest.raises(SourceError, match=r"sales\.csv has no usable row: 1 × currency"):
        load("customer_id,date,currency\n1,2024-01-01,dollars\n")


def test_discounts_are_money_unless_they_look_like_a_rate(load: Load) -> None:
    header = "customer_id,order_id,date,amount,discount\n"
    money = load(header + "1,a,2024-01-01,10,-2.5\n1,b,2024-01-02,10,\n")
    rate = load(header + "1,a,2024-01-01,10,0.2\n1,b,2024-01-02,10,0\n")

    assert [p.discount for p in purchases(money)] == [2.5, 0.0]
    assert [p.discount for p in purchases(rate)] == [0.0, 0.0]
    assert any("looks like a rate" in note for note in rate.facts.notes)


def test_a_basket_over_the_limit_keeps_its_total_and_its_first_items(load: Load) -> None:
    rows = [f"1,a,2024-01-01,1,p{n}\n" for n in range(1_200)]
    table = load("customer_id,order_id,date,amount,sku\n" + "".join(rows))

    assert only(table).total == 1_200
    assert len(only(table).items) == 1_000
    assert any("first 1,000 items" in note for note in table.facts.notes)


def test_labels_lose_control_characters_and_length(load: Load) -> None:
    table = load(f'customer_id,date,category\n1,2024-01-01,"a\tb{"c" * 100}"\n')

    category = only(table).items[0].category
    assert category is not None
    assert category.startswith("a bc")
    assert len(category) == 64


def test_records_carry_the_key_and_the_time_of_their_value(load: Load) -> None:
    record = next(iter(load(PLAIN + "42,o1,2024-03-01T10:30:00Z,19.90\n")))

    value = msgspec.json.decode(record.value)
    assert record.customer_id == value["customer_id"]
    assert datetime.fromtimestamp(record.at / 1000, UTC) == at(2024, 3, 1, 10, 30)
