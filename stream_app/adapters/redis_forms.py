"""How values are written as arguments of scripts, and answers are read."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from stream_app.core.folds import packed
from stream_app.ports import CustomerWrite


def customer_args(write: CustomerWrite) -> tuple[str, bytes, str]:
    """Arguments of one customer: without a purchase nobody is in the due set."""
    state = write.state
    if state is None:
        return write.customer_id, b"", ""
    due = "" if not state.orders else "+inf" if write.due is None else str(write.due)
    return write.customer_id, packed(state), due


def group(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Write rows as arguments: how many, then the values of each."""
    return [len(rows), *chain.from_iterable(rows)]


def texts(values: Any) -> list[str]:
    """Decode what the server answered."""
    return [value.decode() for value in values]


def numbers(fields: dict[str, str], prefix: str) -> dict[str, int]:
    """Read the fields that begin so, by the rest of their name."""
    return {k.removeprefix(prefix): int(v) for k, v in fields.items() if k.startswith(prefix)}
