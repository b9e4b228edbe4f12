"""A consumer of segment changes that follows the rule of the README, and checks what it keeps."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from stream_app.contracts import SegmentChanged
from tests.soak.reading import Found

Segment = tuple[int, str]


class Move(NamedTuple):
    """A move that was accepted."""

    epoch: int
    sequence: int
    previous: Segment | None
    current: Segment


class Follower:
    """Keeps the greatest (epoch, sequence) per customer and skips what is not greater.

    ``chains``: per customer the moves that stand. An accepted move with a sequence that is there
    already was decided anew after the store was rolled back: it replaces that one and all after.
    What comes too late must be a repeat, unless it was decided before such a ``rolled_back``.
    """

    def __init__(self, *, rolled_back: bool = False) -> None:
        self._rolled_back = rolled_back
        self.chains: dict[str, list[Move]] = {}
        self.moves = 0
        self.repeated = 0
        self._greatest: dict[str, tuple[int, int]] = {}
        self._ids: set[str] = set()

    def take(self, record: Found) -> str | None:
        """Read one record; return a sentence if it can't be a move."""
        try:
            change = SegmentChanged.model_validate_json(record.value or b"")
        except ValidationError as error:
            return f"{record.place}: no segment change: {error.errors()[0]['msg']}"
        if record.key != change.customer_id.encode():
            return f"{record.place}: the key is {record.key!r}, the customer {change.customer_id}"
        number = (change.epoch, change.sequence)
        if number <= self._greatest.get(change.customer_id, (0, 0)):
            self.repeated += 1
            known = self._rolled_back or change.id in self._ids
            return None if known else f"{change.id}: {number} came too late"
        self._greatest[change.customer_id] = number
        self._ids.add(change.id)
        self.moves += 1
        self._append(change)
        return None

    def _append(self, change: SegmentChanged) -> None:
        before = (change.previous.id, change.previous.name) if change.previous else None
        move = Move(change.epoch, change.sequence, before, (change.current.id, change.current.name))
        links = self.chains.setdefault(change.customer_id, [])
        links[:] = [link for link in links if link.sequence < change.sequence]
        links.append(move)


def broken_links(
    links: Sequence[Move], state: dict[str, Any], epoch: int, *, served: bool
) -> Iterator[str]:
    """Walk one customer's moves: 1..n, each from where the former led, the last as stored.

    ``epoch``: the partition's, if the store was rolled back: moves of earlier epochs after the
    stored one were forgotten with it and have not come again. Otherwise 0.
    """
    last = state.get("sequence", 0)
    stand = [link for link in links if link.sequence <= last or link.epoch >= epoch]
    if [link.sequence for link in stand] != list(range(1, last + 1)):
        published = [link.sequence for link in stand]
        yield f"the store has counted {last} moves, published are {_ranges(published)}"
        return
    former: Segment | None = None
    for link in stand:
        if link.previous != former:
            yield f"move {link.sequence} starts from {link.previous}, not from {former}"
        former = link.current
    stored = (state["segment"], state["segment_name"]) if state.get("segment") else None
    if former != stored:
        yield f"the last move leads to {former}, the store says {stored}"
    if served and state.get("orders") and not stored:
        yield "has no segment although there is a model"


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers briefly.

    >>> _ranges([1, 2, 3, 7])
    '1–3, 7'
    >>> _ranges([])
    'none'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}–{b}" if a != b else f"{a}" for a, b in runs) or "none"
