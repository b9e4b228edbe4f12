"""Rows of a mapped file as purchase lines, each read or refused with its reason."""

import re
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from math import isnan, nan
from typing import NamedTuple, TypeVar

from producers.columns import ColumnMap
from producers.parsing import ID_LENGTH, Parse, clean_id, decimal_mark, is_missing, parse_number
from producers.sources import DAY_MS, Line

NUMBERS = ("amount", "quantity", "price", "discount")
ITEM_ROLES = frozenset({"sku", "category", "quantity", "price"})
MAX_AMOUNT = 1e9
MAX_QUANTITY = 1e6
LABEL_LENGTH = 64
SKU_LENGTH = 128
CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
CURRENCY = re.compile(r"[A-Z]{3}")

Cells = dict[str, list[str]]
T = TypeVar("T")


class TableLine(NamedTuple):
    """One row, understood. ``amount`` and ``quantity`` are negative for what was taken back."""

    at: int
    customer: str
    order: str
    amount: float
    quantity: float
    discount: float
    currency: str
    channel: str | None
    item: Line | None


class _Row(NamedTuple):
    """One row, converted cell by cell. Numbers: None where blank, NaN where unreadable."""

    at: int | None
    customer: str
    order: str
    amount: float | None
    quantity: float | None
    price: float | None
    discount: float | None
    sku: str
    category: str | None
    channel: str | None
    currency: str


def read_lines(
    cells: Cells, times: Iterable[int | None], columns: ColumnMap
) -> Iterable[TableLine | str]:
    """Read row by row: a line, or the reason why the row is skipped."""
    mark = columns.decimal or decimal_mark(chain(*(cells.get(role, ()) for role in NUMBERS)))
    rows = map(
        _Row,
        times,
        _column(cells, "customer", clean_id, ""),
        _column(cells, "order", clean_id, ""),
        *(_column(cells, role, lambda cell: number(cell, mark), None) for role in NUMBERS),
        _column(cells, "sku", lambda cell: cell[:SKU_LENGTH], ""),
        _column(cells, "category", _label, None),
        _column(cells, "channel", _label, None),
        _column(cells, "currency_column", str.upper, columns.currency),
    )
    has_items = not ITEM_ROLES.isdisjoint(cells)
    return (_problem(row) or _line(row, has_items=has_items) for row in rows)


def number(cell: str, mark: str) -> float:
    """Read a number; NaN where it is unreadable."""
    try:
        return parse_number(cell, mark)
    except ValueError:
        return nan


def read_times(cells: Iterable[str], parse: Parse) -> list[int | None]:
    """Read a column of dates: ms since 1970, None where unreadable."""
    memo: dict[str, int | None] = {}
    return [memo[cell] if cell in memo else _time(memo, cell, parse) for cell in cells]


def day_only(times: Iterable[int | None]) -> bool:
    """Tell whether no time has a time of day."""
    return all(at is None or at % DAY_MS == 0 for at in times)


def _time(memo: dict[str, int | None], cell: str, parse: Parse) -> int | None:
    try:
        memo[cell] = parse(cell)
    except (ValueError, OverflowError):
        memo[cell] = None
    return memo[cell]


def _column(cells: Cells, role: str, convert: Callable[[str], T], default: T) -> Iterable[T]:
    """Convert a column, each distinct cell once; ``default`` for a blank cell or no column."""
    if role not in cells:
        return repeat(default)
    column = cells[role]
    memo = {cell: default if is_missing(cell) else convert(cell) for cell in set(column)}
    return map(memo.__getitem__, column)


def _label(cell: str) -> str | None:
    return CONTROL.sub(" ", cell)[:LABEL_LENGTH].strip() or None


def _problem(row: _Row) -> str:
    if row.at is None:
        return "unreadable date"
    if len(row.customer) > ID_LENGTH:
        return f"customer id longer than {ID_LENGTH} characters"
    numbers = [x for x in (row.amount, row.quantity, row.price, row.discount) if x is not None]
    if any(map(isnan, numbers)):
        return "unreadable number"
    if any(abs(x) > MAX_AMOUNT for x in numbers) or abs(row.quantity or 0) > MAX_QUANTITY:
        return f"amount over {MAX_AMOUNT:,.0f} or quantity over {MAX_QUANTITY:,.0f}"
    return "" if CURRENCY.fullmatch(row.currency) else "currency is no three-letter code"


def _line(row: _Row, *, has_items: bool) -> TableLine:
    quantity = 1.0 if row.quantity is None else row.quantity
    amount = (row.price or 0.0) * quantity if row.amount is None else row.amount
    if quantity < 0 < amount:
        amount = -amount
    item = _item(row, abs(quantity), abs(amount)) if has_items else None
    return TableLine(
        row.at or 0,
        row.customer,
        row.order,
        amount,
        quantity,
        abs(row.discount or 0.0),
        row.currency,
        row.channel,
        item,
    )


def _item(row: _Row, quantity: float, amount: float) -> Line:
    if not quantity:
        return Line(row.sku, row.category, 1.0, amount)
    price = amount / quantity if row.price is None else abs(row.price)
    return Line(row.sku, row.category, quantity, round(price, 8))
