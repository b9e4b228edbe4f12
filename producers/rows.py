"""Rows of a CSV, TSV or Parquet file as lists of text cells, whatever wrote the file."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from producers.sources import SourceError

DELIMITERS = ",;\t|"
BATCH = 65_536
PARQUET = frozenset({".parquet", ".pq"})


@contextmanager
def open_rows(path: Path) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    """Open a file: its header, and its rows one by one.

    Text is UTF-8 (with or without a byte-order mark), UTF-16 with one, or Windows-1252; the
    delimiter is the most frequent of ``, ; tab |`` in the header, else blanks. Raises SourceError.
    """
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    if path.suffix.lower() in PARQUET:
        yield _parquet(path)
        return
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        yield _delimited(path, file)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(2) in {b"\xff\xfe", b"\xfe\xff"}:
            return "utf-16"
    try:
        with path.open(encoding="utf-8") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _delimited(path: Path, file: TextIO) -> tuple[list[str], Iterator[list[str]]]:
    first = file.readline()
    if not first.strip():
        raise SourceError(f"{path.name} is empty: its first line must name the columns")
    delimiter = max(DELIMITERS, key=first.count)
    delimiter = delimiter if delimiter in first else " "
    file.seek(0)
    rows = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
    return [name.strip() for name in next(rows)], _checked(path, rows)


def _checked(path: Path, rows: Any) -> Iterator[list[str]]:
    try:
        for row in rows:
            if row:
                yield row
    except csv.Error as error:
        raise SourceError(f"{path.name}, line {rows.line_num}: {error}") from error


def _parquet(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise SourceError(
            "Parquet files need pyarrow: run `pip install 'streaming-segmenter[data]'`"
        ) from None
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise SourceError(f"{path.name} is no readable Parquet file: {error}") from error
    return list(file.schema_arrow.names), _batches(file)


def _batches(file: Any) -> Iterator[list[str]]:
    for batch in file.iter_batches(BATCH):
        columns = [[_text(value) for value in column.to_pylist()] for column in batch.columns]
        yield from map(list, zip(*columns, strict=True))


def _text(value: Any) -> str:
    """Write a Parquet value as a cell; dates and times as ISO 8601.

    >>> _text(None), _text(1.5)
    ('', '1.5')
    """
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
