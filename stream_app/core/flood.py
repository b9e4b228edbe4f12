"""The flood guard: a worker stops rather than turn a whole topic into dead letters.

A bad record is its sender's affair and never stops the rest. Where most records are refused it is
not one sender: a setting is wrong, a format has changed, or the topic is not ours. Reading on
would move everything to the dead letters, where it ages.

The measure is a share of the latest records, not letters per minute: it means the same at night,
in a rush and in a replay, and needs no clock. It is taken of a full window, so a handful of bad
records after a start, or in a quiet shop, never stops a worker.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from stream_app.core.events import Record, Rejected

WINDOW = 1_000


class FloodError(Exception):
    """Too many records were refused; the message says what, how many, and what to do."""


class Refusal(NamedTuple):
    """A refused record, and where it is."""

    topic: str
    partition: int
    offset: int
    rejected: Rejected


class FloodGuard:
    """Watches what became of a worker's latest records, all partitions together.

    ``limit`` is the share of refused records in ``window`` that is still allowed, 0 to 1; with 1
    nothing ever stops. ``flooded`` stays true once it was exceeded.

    >>> guard = FloodGuard(0.5)
    >>> guard.take("purchases", 0, (), {})
    False
    """

    def __init__(self, limit: float, window: int = WINDOW) -> None:
        self.flooded = False
        self._most = round(limit * window)
        self._latest: deque[Refusal | None] = deque(maxlen=window)

    def take(
        self,
        topic: str,
        partition: int,
        records: Sequence[Record],
        rejected: Mapping[int, Rejected],
    ) -> bool:
        """Note the records of one write, those refused by offset; tell whether it is a flood."""
        if not rejected:
            self._latest.extend(repeat(None, len(records)))
            return self.flooded
        for record in records:
            why = rejected.get(record.offset)
            self._latest.append(Refusal(topic, partition, record.offset, why) if why else None)
        self.flooded = self.flooded or len(self._refused()) > self._most
        return self.flooded

    def _refused(self) -> list[Refusal]:
        return [refusal for refusal in self._latest if refusal]

    def error(self) -> FloodError:
        """Explain the flood to whoever operates the worker."""
        refused = self._refused()
        (reason, count), *_ = Counter(r.rejected.reason for r in refused).most_common(1)
        example = next(r for r in reversed(refused) if r.rejected.reason == reason)
        return FloodError(
            f"{len(refused):,} of the last {len(self._latest):,} records are dead letters, more "
            f"than the {self._most:,} allowed (SEGMENTER_DEAD_LETTER_LIMIT). Most often "
            f"({count:,} times) {reason.value}, for example {example.topic}/{example.partition} "
            f"at offset {example.offset}: {example.rejected.detail!a}. What was read is stored; "
            "nothing more is read, also after a restart. 1. Look: `segmenter dead-letters list`. "
            "2. Repair the setting or the sender. 3. Allow workers to start: `segmenter "
            "dead-letters resume`, and start them. 4. Send the refused records again: `segmenter "
            f"dead-letters replay --reason {reason.value}`. To let bad records that are still in "
            "the topic pass into the dead letters, start a worker with "
            "SEGMENTER_DEAD_LETTER_LIMIT=1"
        )
