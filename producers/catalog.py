"""Every history by the name a user gives: one of the known data sets, or a file."""

from collections.abc import Callable
from pathlib import Path

from producers.cdnow import load_cdnow
from producers.columns import ColumnMap
from producers.complete_journey import load_complete_journey
from producers.sources import Source, SourceError
from producers.table import load_table

KNOWN: dict[str, Callable[[], Source]] = {
    "complete-journey": load_complete_journey,
    "cdnow": load_cdnow,
}


def open_source(data: str, columns: ColumnMap) -> Source:
    """Open a data set by name, or a CSV, TSV or Parquet file by path.

    Raises SourceError that says what was looked for and what exists.
    """
    if data in KNOWN:
        return KNOWN[data]()
    path = Path(data)
    if not path.is_file():
        raise SourceError(
            f"there is no file {data!r}, and the known data sets are {', '.join(KNOWN)}"
        )
    return load_table(path, columns)
