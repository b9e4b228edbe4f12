"""What travels through a lane: chunks of records, and what the owner knows of its partition."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from stream_app.core.events import Record
from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from stream_app.ports import Claim, Pending

Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of one partition: all offsets in ``[base, next)``."""

    topic: str
    partition: int
    base: int
    next: int
    records: Sequence[Record]

    def joins(self, other: "Chunk", most: int) -> bool:
        """Tell whether the other one follows immediately and both have at most so many records."""
        together = len(self.records) + len(other.records)
        return (self.topic, self.next) == (other.topic, other.base) and together <= most

    def __add__(self, other: "Chunk") -> "Chunk":
        """Join with the chunk that follows."""
        records = [*self.records, *other.records]
        return Chunk(self.topic, self.partition, self.base, other.next, records)

    def pieces(self, size: int) -> "Iterator[Chunk]":
        """Cut into chunks of so many records; holes belong to the piece before them.

        One without any record is passed on whole: its offsets are done all the same.

        >>> [(piece.base, piece.next) for piece in Chunk("purchases", 0, 3, 9, []).pieces(2)]
        [(3, 9)]
        """
        base = self.base
        for start in range(0, len(self.records) or 1, size):
            part = self.records[start : start + size]
            last = start + size >= len(self.records)
            following = self.next if last else part[-1].offset + 1
            yield Chunk(self.topic, self.partition, base, following, part)
            base = following

    def since(self, offset: int) -> "Chunk":
        """Drop the part that was already applied."""
        if offset <= self.base:
            return self
        records = [record for record in self.records if record.offset >= offset]
        return Chunk(self.topic, self.partition, offset, self.next, records)


@dataclass(slots=True)
class Session:
    """What one owner knows of its partition within one epoch; dropped when fenced.

    ``room``: how many customer states are kept in ``cache``.
    """

    partition: int
    epoch: int
    positions: dict[str, int]
    clock: int
    room: int = 0
    cache: dict[str, CustomerState] = field(default_factory=dict)
    next_due: int | None = 0
    batches: int = 0
    last_batch: str = ""
    sent: int = 0
    moves: int = 0

    @classmethod
    def of(cls, partition: int, claim: Claim, room: int) -> "Session":
        """Begin the session of a claim."""
        return cls(partition, claim.epoch, dict(claim.positions), claim.clock, room)

    def enqueue(self, messages: Iterable[Outgoing]) -> list[Pending]:
        """Give messages their outbox ids: they grow within an epoch, and epochs grow."""
        pending = []
        for message in messages:
            self.sent += 1
            pending.append(Pending(f"{self.epoch}-{self.sent}", message))
        return pending

    def remember(self, states: Iterable[tuple[str, CustomerState | None]]) -> None:
        """Keep written states, the latest last, as far as there is room."""
        cache = self.cache
        for customer_id, state in states:
            cache.pop(customer_id, None)
            if state is not None:
                cache[customer_id] = state
        for customer_id in list(islice(cache, max(0, len(cache) - self.room))):
            del cache[customer_id]

    def refresh(self, states: Iterable[tuple[str, CustomerState | None]]) -> None:
        """Keep written states of whoever is kept already, where they are.

        A walk over all customers must not push out those who buy.
        """
        self.cache.update((c, state) for c, state in states if state and c in self.cache)


def round_robin(fetched: Mapping[Place, Iterable[Chunk]]) -> Iterator[tuple[Place, Chunk]]:
    """Take one chunk of each partition in turn.

    >>> [chunk for _, chunk in round_robin({"a": [1, 2], "b": [3]})]
    [1, 3, 2]
    """
    waiting = {place: iter(chunks) for place, chunks in fetched.items()}
    while waiting:
        for place in list(waiting):
            chunk = next(waiting[place], None)
            if chunk is None:
                del waiting[place]
            else:
                yield place, chunk
