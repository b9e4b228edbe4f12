"""Any purchase history in a CSV, TSV or Parquet file, as a source.

One row is a basket or a line of one. Lines of the same order are one basket; without an order id,
lines of the same customer at the same time are. Negative totals are refunds. Every row that is not
used is counted under its reason.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from producers.baskets import MAX_ITEMS, baskets
from producers.columns import ColumnMap, mapped, option, resolve
from producers.lines import Cells, TableLine, day_only, number, read_lines, read_times
from producers.parsing import clean_id, date_reader, decimal_mark, is_missing
from producers.rows import open_rows
from producers.sources import DAY_MS, BasketList, DatedBasket, Facts, SourceError

NOON_MS = DAY_MS // 2
ENOUGH = 10  # orders of several rows before equal amounts are no accident


@dataclass(frozen=True, slots=True)
class Table(BasketList):
    """A file as a source; ``columns`` holds every choice made, the date format included."""

    columns: ColumnMap


def load_table(path: Path, wanted: ColumnMap | None = None) -> Table:
    """Read a file into baskets in time order.

    Raises SourceError for a file, a column or a date format that cannot be read, and for a file
    without a single usable row.
    """
    wanted, skipped = wanted or ColumnMap(), Counter[str]()
    with open_rows(path) as (header, rows):
        columns = resolve(header, wanted)
        cells = _collect(header, rows, columns, skipped)
    columns, notes = _without_rate(cells, columns, wanted)
    times, columns = _times(cells, columns, notes)
    lines = _kept(read_lines(cells, times, columns), skipped)
    made = baskets(lines, columns)
    if not made:
        raise SourceError(f"{path.name} has no usable row: {_listed(skipped)}")
    notes += _notes(cells, columns, made)
    facts = Facts(path.name, len(made), 0, made[0].at, made[-1].at, skipped, notes)
    return Table(facts, made, columns)


def _collect(
    header: list[str], rows: Iterable[list[str]], columns: ColumnMap, skipped: Counter[str]
) -> Cells:
    """Cells by role, of the rows that have a customer and are no exact duplicate."""
    places = {role: header.index(name) for role, name in mapped(columns).items()}
    customer, width = places["customer"], len(header)
    seen: set[int] = set()
    memo: dict[str, str] = {}
    cells: Cells = {role: [] for role in places}
    wanted = [(cells[role].append, place) for role, place in places.items()]
    for row in rows:
        reason = _refusal(row, width, customer, None if columns.keep_duplicates else seen)
        if reason:
            skipped[reason] += 1
            continue
        for append, place in wanted:
            cell = row[place].strip()
            append(memo.setdefault(cell, cell))
    return cells


def _refusal(row: list[str], width: int, customer: int, seen: set[int] | None) -> str:
    if len(row) != width:
        return f"other than {width} cells"
    if is_missing(row[customer].strip()):
        return "no customer"
    if seen is None:
        return ""
    before = len(seen)
    seen.add(hash(tuple(row)))
    return "exact duplicate of another row" if len(seen) == before else ""


def _without_rate(
    cells: Cells, columns: ColumnMap, wanted: ColumnMap
) -> tuple[ColumnMap, list[str]]:
    """Leave out a recognised discount column that holds shares of 1 instead of money."""
    name = columns.discount
    if wanted.discount or not _is_rate(cells.get("discount", [])):
        return columns, []
    del cells["discount"]
    note = f"{name!r} looks like a rate and is not used: if it is money, {option('discount')}"
    return replace(columns, discount=None), [f"{note} {name!r}"]


def _is_rate(column: list[str]) -> bool:
    """Tell whether all values are at most 1 and some between 0 and 1."""
    distinct = {cell for cell in column if not is_missing(cell)}
    mark = decimal_mark(distinct)
    values = [abs(number(cell, mark)) for cell in distinct]
    return all(value <= 1 for value in values) and any(0 < value < 1 for value in values)


def _times(
    cells: Cells, columns: ColumnMap, notes: list[str]
) -> tuple[list[int | None], ColumnMap]:
    dates = cells["date"]
    if "time" in cells and not any(":" in date for date in dates[:100]):
        dates = [f"{date} {time}".strip() for date, time in zip(dates, cells["time"], strict=True)]
    reader = date_reader(filter(None, dates), columns.date_format, "--date-format")
    notes += [reader.note] if reader.note else []
    times = read_times(dates, reader.parse)
    if day_only(times):
        notes.append("dates have no time of day: 12:00 UTC is used")
        times = [None if at is None else at + NOON_MS for at in times]
    return times, replace(columns, date_format=reader.name)


def _kept(lines: Iterable[TableLine | str], skipped: Counter[str]) -> Iterator[TableLine]:
    for line in lines:
        if isinstance(line, str):
            skipped[line] += 1
        else:
            yield line


def _notes(cells: Cells, columns: ColumnMap, made: list[DatedBasket]) -> Iterator[str]:
    """Say what the user should know of how the rows were taken."""
    if "order" not in cells:
        yield (
            "no order id: rows of one customer at the same time are one basket; if there is one,"
            f" {option('order')}"
        )
    if "amount" not in cells and "price" not in cells:
        yield f"no amounts: every total is 0; if there are, {option('amount')}"
    elif not columns.order_total and _repeats_total(cells):
        yield (
            "the rows of each order have equal amounts, which are added up: if the amount is the"
            " whole order's, --order-total"
        )
    ids = ((cell, clean_id(cell)) for cell in set(cells["customer"]))
    escaped = sum("=" in cleaned and cell != cleaned for cell, cleaned in ids)
    if escaped:
        yield f"{escaped:,} customer ids hold characters a key may not: written as =XX"
    cut = sum(len(dated.basket.items) == MAX_ITEMS for dated in made)
    if cut:
        yield f"{cut:,} baskets have only their first {MAX_ITEMS:,} items"


def _repeats_total(cells: Cells) -> bool:
    """Tell whether orders of several rows carry one and the same amount on each of them."""
    amounts: dict[str, list[str]] = {}
    for order, amount in zip(cells.get("order", ()), cells.get("amount", ()), strict=False):
        amounts.setdefault(order, []).append(amount)
    several = [found for found in amounts.values() if len(found) > 1]
    return len(several) >= ENOUGH and all(len(set(found)) == 1 for found in several)


def _listed(skipped: Counter[str]) -> str:
    return ", ".join(f"{count:,} × {reason}" for reason, count in skipped.most_common()) or "empty"
