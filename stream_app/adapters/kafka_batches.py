"""Batches as aiokafka reads them, also those whose headers have names that are not UTF-8.

Kafka takes such names from any client that does not check them, and aiokafka raises over them at
every attempt: one record would stop its partition for good. They are read as the Java client reads
them, with U+FFFD for what is not UTF-8; keys, values and the values of headers stay as they are.
To import this module is enough.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecord, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

LENGTH = slice(8, 12)
OVERHEAD = 12  # bytes before those that the length counts
MAGIC = 16
WITH_HEADERS = 2


class _Text(bytearray):
    """Bytes that decode whatever they are; so do slices of them."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Text(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


class _PatientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A batch that is read slowly and to its end."""

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _Text):
            self._buffer = _Text(self._buffer)


class Batch:
    """A batch as aiokafka has it; only iterating is different."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> DefaultRecord:
        return next(self._batch)

    def __iter__(self) -> Iterator[DefaultRecord]:
        read = 0
        try:
            for record in self._batch:
                yield record
                read += 1
        except UnicodeDecodeError:
            yield from islice(_PatientBatch(self._raw), read, None)


class Records:
    """All batches of one fetch of a partition; what aiokafka asks of its ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._rest = memoryview(data)
        self.has_next, self.size_in_bytes = self._records.has_next, self._records.size_in_bytes

    def next_batch(self) -> Any:
        """Read the next batch; None after the last."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        end = OVERHEAD + int.from_bytes(self._rest[LENGTH], "big")
        raw, self._rest = self._rest[:end], self._rest[end:]
        return Batch(batch, raw) if raw[MAGIC] >= WITH_HEADERS else batch


fetcher.MemoryRecords = Records
