"""A file of a user's own, and what is read from it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from producers.columns import ColumnMap
from producers.table import Table, load_table
from stream_app.contracts import Purchase

Load = Callable[..., Table]

PLAIN = "customer_id,order_id,date,amount\n"


def write_and_load(
    folder: Path, text: str, encoding: str = "utf-8", name: str = "sales.csv", **columns: Any
) -> Table:
    """Write a text to a file and read it as a source."""
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return load_table(path, ColumnMap(**columns))


def purchases(table: Table) -> list[Purchase]:
    """Every record, read by the contract."""
    return [Purchase.model_validate_json(record.value) for record in table]


def only(table: Table) -> Purchase:
    found = purchases(table)
    assert len(found) == 1
    return found[0]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]
