"""A file as the place where records go: one JSON value a line, keys and topics left out."""

from pathlib import Path
from types import TracebackType
from typing import Self


class JsonLines:
    """Write values to a file, replacing it. Raises OSError when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def send(self, _topic: str, _key: str, value: bytes | None) -> None:
        """Write a value; a null one, which erases a customer, has no line."""
        if value is not None:
            self._file.write(value + b"\n")

    def flush(self) -> None:
        """Hand the lines to the operating system."""
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
