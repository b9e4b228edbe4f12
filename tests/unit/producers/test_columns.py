"""Columns are named by the user, else recognised; doubt is said, with the option to use."""

import pytest

from producers.columns import ColumnMap, mapped, resolve
from producers.sources import SourceError


def test_columns_are_recognised_whatever_their_case_and_punctuation() -> None:
    header = ["Customer ID", "Order-Date", "ORDER_ID", "Sales", "Qty", "Product Category"]

    assert mapped(resolve(header, ColumnMap())) == {
        "customer": "Customer ID",
        "date": "Order-Date",
        "order": "ORDER_ID",
        "amount": "Sales",
        "quantity": "Qty",
        "category": "Product Category",
    }


def test_a_named_column_wins_over_a_recognised_one() -> None:
    found = resolve(["customer_id", "payer", "date"], ColumnMap(customer="payer"))

    assert found.customer == "payer"


def test_a_named_column_is_not_taken_for_a_second_role() -> None:
    found = resolve(["id", "date", "total"], ColumnMap(customer="id", price="total"))

    assert (found.price, found.amount) == ("total", None)


@pytest.mark.parametrize(
    ("header", "wanted", "message"),
    [
        (["who", "date"], ColumnMap(), r"no column for the customer: use --customer-column NAME.*"),
        (["user_id", "when"], ColumnMap(), r"--date-column NAME; the columns found are: user_id"),
        (
            ["customer_id", "user_id", "date"],
            ColumnMap(),
            r"'customer_id' and 'user_id' could both be the customer: use --customer-column",
        ),
        (
            ["customer", "date"],
            ColumnMap(amount="Paid"),
            r"no column is called 'Paid': use --amount",
        ),
        (["a", "A", "date"], ColumnMap(customer="á"), r"no column is called"),
        (["customer", "date", "total", "sales"], ColumnMap(), r"could both be the amount"),
    ],
)
def test_missing_and_doubtful_columns_name_the_option_and_the_columns(
    header: list[str], wanted: ColumnMap, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        resolve(header, wanted)


def test_two_columns_of_the_same_name_are_refused() -> None:
    with pytest.raises(SourceError, match="more than one column is called 'paid'"):
        resolve(["customer", "date", "paid", "paid"], ColumnMap(amount="paid"))
