"""A user's own file is understood: dates, encodings, delimiters and numbers of exports."""

from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from producers.sources import SourceError
from producers.table import load_table
from stream_app.contracts import Purchase
from tests.foreign import PLAIN, Load, at, only, purchases, write_and_load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return partial(write_and_load, tmp_path)


def test_a_plain_file_needs_no_option(load: Load) -> None:
    table = load(PLAIN + "42,o1,2024-03-01T10:30:00Z,19.90\n")

    assert only(table) == Purchase(
        event_id="o1", customer_id="42", occurred_at=at(2024, 3, 1, 10, 30), total=19.9
    )
    assert not table.facts.skipped
    assert not table.facts.notes


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
