"""A user's own file, with all the oddities that real exports have."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from producers.columns import ColumnMap
from producers.sources import SourceError
from producers.table import Table, load_table
from stream_app.contracts import Purchase

Load = Callable[..., Table]
PLAIN = "customer_id,order_id,date,amount\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a text to a file and read it as a source."""

    def write_and_load(
        text: str, encoding: str = "utf-8", name: str = "sales.csv", **columns: Any
    ) -> Table:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return load_table(path, ColumnMap(**columns))

    return write_and_load


def purchases(table: Table) -> list[Purchase]:
    """Every record, read by the contract."""
    return [Purchase.model_validate_json(record.value) for record in table]


def only(table: Table) -> Purchase:
    found = purchases(table)
    assert len(found) == 1
    return found[0]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_a_plain_file_needs_no_option(load: Load) -> None:
    table = load(PLAIN + "42,o1,2024-03-01T10:30:00Z,19.90\n")

    assert only(table) == Purchase(
        event_id="o1", customer_id="42", occurred_at=at(2024, 3, 1, 10, 30), total=19.9
    )
    assert not table.facts.skipped
    assert not table.facts.notes


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


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2010-12-01", at(2010, 12, 1, 12)),
        ("2010-12-01 8:26", at(2010, 12, 1, 8, 26)),
        ("2010-12-01T08:26:30+02:00", at(2010, 12, 1, 6, 26, 30)),
        ("2010-12-01 08:26:00 UTC", at(2010, 12, 1, 8, 26)),
        ("2010/12/01 08:26", at(2010, 12, 1, 8, 26)),
        ("19970112", at(1997, 1, 12, 12)),
        ("20101201082600", at(2010, 12, 1, 8, 26)),
        ("1291191960", at(2010, 12, 1, 8, 26)),
        ("1291191960000", at(2010, 12, 1, 8, 26)),
        ("1291191960.0", at(2010, 12, 1, 8, 26)),
        ("25/12/2010 8:26", at(2010, 12, 25, 8, 26)),
        ("12/25/2010 8:26 PM", at(2010, 12, 25, 20, 26)),
        ("12/25/10 8:26", at(2010, 12, 25, 8, 26)),
        ("25.12.2010", at(2010, 12, 25, 12)),
        ("01-Dec-2010", at(2010, 12, 1, 12)),
        ("Dec 1, 2010", at(2010, 12, 1, 12)),
    ],
)
def test_dates_are_recognised_however_they_are_written(
    load: Load, cell: str, moment: datetime
) -> None:
    assert only(load(PLAIN + f'42,o1,"{cell}",1\n')).occurred_at == moment


def test_one_clear_date_tells_day_and_month_apart_for_the_whole_column(load: Load) -> None:
    table = load(PLAIN + "1,a,02/01/2010,1\n1,b,03/01/2010,1\n1,c,31/01/2010,1\n")

    assert [p.occurred_at.month for p in purchases(table)] == [1, 1, 1]
    assert not any("month first" in note for note in table.facts.notes)


def test_dates_that_could_be_either_are_said_so_and_can_be_set(load: Load) -> None:
    text = PLAIN + "1,a,01/12/2010 8:26,1\n1,b,02/12/2010 8:26,1\n"

    assumed, told = load(text), load(text, date_format="%m/%d/%Y %H:%M")

    assert purchases(assumed)[0].occurred_at == at(2010, 12, 1, 8, 26)
    assert "--date-format '%m/%d/%Y %H:%M'" in " ".join(assumed.facts.notes)
    assert purchases(told)[0].occurred_at == at(2010, 1, 12, 8, 26)
    assert not told.facts.notes


def test_a_date_column_and_a_time_column_are_joined(load: Load) -> None:
    table = load("customer,date,time,amount\n7,2024-05-06,18:45:00,3\n")

    assert only(table).occurred_at == at(2024, 5, 6, 18, 45)


def test_dates_that_nothing_fits_name_the_option(load: Load) -> None:
    with pytest.raises(SourceError, match=r"'last week'.*--date-format"):
        load(PLAIN + "1,a,last week,1\n")


def test_a_single_unreadable_date_is_skipped_and_counted(load: Load) -> None:
    table = load(PLAIN + "1,a,2024-01-01,1\n1,b,2024-01-02,1\n1,c,soon,1\n")

    assert table.facts.purchases == 2
    assert table.facts.skipped == {"unreadable date": 1}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
def test_any_usual_encoding_is_read(load: Load, encoding: str) -> None:
    table = load("customer_id,date,amount,category\n1,2024-01-01,5,Café\n", encoding)

    assert only(table).items[0].category == "Café"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_is_read(load: Load, delimiter: str) -> None:
    text = "customer_id,order_id,date,amount\n1,a,2024-01-01,12.50\n".replace(",", delimiter)

    assert only(load(text, name="sales.tsv")).total == 12.5


def test_columns_set_apart_by_blanks_are_read(load: Load) -> None:
    table = load(" customer_id  date number_of_cds  dollar_value\n 00001 19970101  1   11.77\n")

    assert only(table).total == 11.77
    assert only(table).customer_id == "00001"


@pytest.mark.parametrize(
    ("cells", "total"),
    [
        ("12,50", 12.5),
        ("1.234,50", 1234.5),
        ("1 234,5 €", 1234.5),
    ],
)
def test_a_decimal_comma_is_recognised(load: Load, cells: str, total: float) -> None:
    assert only(load(f"Kunde;Datum;Betrag\n1;01.02.2024;{cells}\n", **GERMAN)).total == total


GERMAN = {"customer": "Kunde", "date": "Datum", "amount": "Betrag"}


@pytest.mark.parametrize(
    ("cell", "total"), [("$1,234.50", 1234.5), ("1,234", 1234.0), ("USD 7", 7.0)]
)
def test_currency_signs_and_thousands_are_no_obstacle(load: Load, cell: str, total: float) -> None:
    assert only(load(PLAIN + f'1,a,2024-01-01,"{cell}"\n')).total == total


def test_the_decimal_mark_can_be_set(load: Load) -> None:
    assert only(load(PLAIN + '1,a,2024-01-01,"1,234"\n', decimal=",")).total == 1.234


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


def test_parquet_is_read_like_text(tmp_path: Path) -> None:
    columns = {
        "customer_id": [1.0, None, 2.0],
        "order_id": ["a", "b", "c"],
        "order_date": [datetime(2024, 1, 1, 9), datetime(2024, 1, 1, 9), datetime(2024, 1, 2, 9)],  # noqa: DTZ001
        "total": [1.5, 2.5, -3.5],
    }
    pq.write_table(pa.table(columns), tmp_path / "sales.parquet")

    table = load_table(tmp_path / "sales.parquet")

    assert [(p.customer_id, p.type, p.total) for p in purchases(table)] == [
        ("1", "purchase", 1.5),
        ("2", "refund", 3.5),
    ]
    assert table.facts.skipped == {"no customer": 1}
    assert purchases(table)[0].occurred_at == at(2024, 1, 1, 9)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "empty.csv", "empty.csv is empty"),
        (b"no parquet", "bad.parquet", "no readable Parquet file"),
        (b'customer,date\n1,"2024\n', "open.csv", "no usable row|cannot tell"),
    ],
)
def test_files_that_cannot_be_read_say_so(
    tmp_path: Path, content: bytes, name: str, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=message):
        load_table(tmp_path / name)


def test_records_carry_the_key_and_the_time_of_their_value(load: Load) -> None:
    record = next(iter(load(PLAIN + "42,o1,2024-03-01T10:30:00Z,19.90\n")))

    value = msgspec.json.decode(record.value)
    assert record.customer_id == value["customer_id"]
    assert datetime.fromtimestamp(record.at / 1000, UTC) == at(2024, 3, 1, 10, 30)
