"""Every history by the name a user gives: one of the known data sets, or a file."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from pathlib import Path

from producers.cdnow import load_cdnow
from producers.columns import ColumnMap
from producers.complete_journey import load_complete_journey
from producers.sources import Facts, Record, Source, SourceError
from producers.table import load_table

DEFAULT_DATA = "complete-journey"
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


class Merged:
    """Several sources as one, in time order."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        parts = [source.facts for source in sources]
        self.facts = Facts(
            name=" + ".join(part.name for part in parts),
            purchases=sum(part.purchases or 0 for part in parts),
            profiles=sum(part.profiles for part in parts),
            first=min(part.first for part in parts),
            last=max(part.last for part in parts),
            skipped=sum((part.skipped for part in parts), Counter()),
            notes=[note for part in parts for note in part.notes],
        )

    def __iter__(self) -> Iterator[Record]:
        """Encode the records one by one, the earliest first."""
        return merge(*self._sources, key=lambda record: record.at)


def open_sources(data: Sequence[str], columns: ColumnMap) -> Source:
    """Open one or more data sets; several are merged by time. Raises SourceError."""
    sources = [open_source(name, columns) for name in data]
    return sources[0] if len(sources) == 1 else Merged(sources)
