"""The trouble real streams have, injected into a clean one and counted.

Good records are never lost or altered: duplicates and malformed records are added, and some good
ones come late. So what a system should have made of the clean stream stays known. Pure: seeded,
no clock.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from random import Random

import msgspec

from producers.sources import Record, Source

FUTURE = "2100-01-01T00:00:00Z"
TEST_CURRENCY = "XTS"  # ISO 4217 reserves it for tests: no shop has a rate for it

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Chances per good record, and how far things move (in records).

    ``window``: nearly every record moves by up to that many places; ``late_by``: a late one by up
    to that many. A malformed record is an altered copy of a good purchase; ``oversize``: bytes of
    an oversized one.
    """

    seed: int = 42
    duplicates: float = 0.01
    late: float = 0.01
    late_by: int = 1_000
    window: int = 8
    malformed: float = 0.01
    oversize: int = 70_000


def _altered(change: Callable[[Fields], object]) -> Callable[[Record, Trouble], Record]:
    def alter(record: Record, _: Trouble) -> Record:
        fields: Fields = msgspec.json.decode(record.value)
        change(fields)
        return record._replace(value=msgspec.json.encode(fields))

    return alter


def _oversized(record: Record, trouble: Trouble) -> Record:
    fields: Fields = msgspec.json.decode(record.value)
    fields["note"] = "x" * trouble.oversize
    return record._replace(value=msgspec.json.encode(fields))


MALFORMED: dict[str, Callable[[Record, Trouble], Record]] = {
    "broken-json": lambda record, _: record._replace(value=record.value[:-2]),
    "missing-field": _altered(lambda fields: fields.pop("total")),
    "wrong-type": _altered(lambda fields: fields.update(total="a lot")),
    "nan": lambda record, _: record._replace(value=_with_nan(record.value)),
    "oversized": _oversized,
    "future-dated": _altered(lambda fields: fields.update(occurred_at=FUTURE)),
    "wrong-key": lambda record, _: record._replace(customer_id=f"{record.customer_id}-x"),
    "unknown-currency": _altered(lambda fields: fields.update(currency=TEST_CURRENCY)),
}


def _with_nan(value: bytes) -> bytes:
    fields: Fields = msgspec.json.decode(value)
    fields["total"] = msgspec.Raw(b"NaN")
    return msgspec.json.encode(fields)


class Scrambled:
    """A source with trouble; ``injected`` counts what was added or delayed, by kind."""

    def __init__(self, source: Source, trouble: Trouble | None = None) -> None:
        self.facts = replace(source.facts, purchases=None)
        self._source, self._trouble = source, trouble or Trouble()
        self.injected: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in their new order; restarts the counts."""
        self.injected.clear()
        rng, number = Random(f"{self._trouble.seed}/trouble"), 0
        queue: list[tuple[int, int, Record]] = []
        for place, record in enumerate(self._source):
            for due, copy in self._copies(rng, record):
                heappush(queue, (place + due, number, copy))
                number += 1
            while queue and queue[0][0] <= place:
                yield heappop(queue)[2]
        while queue:
            yield heappop(queue)[2]

    def _copies(self, rng: Random, record: Record) -> Iterator[tuple[int, Record]]:
        """Pair the good record, and what comes with it, with the places each moves back."""
        trouble, place = self._trouble, rng.randint(0, self._trouble.window)
        if rng.random() < trouble.late:
            self.injected["late"] += 1
            place = rng.randint(trouble.window, trouble.late_by)
        yield place, record
        if rng.random() < trouble.duplicates:
            self.injected["duplicate"] += 1
            yield place + rng.randint(0, trouble.window), record
        if record.kind == "purchase" and rng.random() < trouble.malformed:
            kind = rng.choice(list(MALFORMED))
            self.injected[kind] += 1
            yield place, MALFORMED[kind](record, trouble)
