"""The Faust app that reads chunks, and who tells it where to read."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP


class PositionSource(Protocol):
    """Who knows where to read and what is durable."""

    async def positions(self, assigned: set[TP], generation: int) -> Mapping[TP, int | None]:
        """Own the partitions from now on; next offset each, None where nothing is stored."""

    async def start(self, tp: TP, committed: int | None, earliest: int) -> int:
        """Decide where to begin a partition of which nothing is stored."""

    def overrun(self, tp: TP, stored: int, earliest: int) -> None:
        """Kafka begins at ``earliest``, beyond ``stored``, which was to be read next."""

    def durable(self, tp: TP) -> int | None:
        """Next offset that needs no re-reading; it is committed for display."""

    def has_room(self, tp: TP) -> bool:
        """Whether more of this partition can be taken; what can't is not fetched meanwhile."""

    def is_busy(self) -> bool:
        """Whether what was read will last a while; asked from the consumer's thread."""

    def release(self, revoked: set[TP]) -> None:
        """Stop working on partitions that are no longer ours; must not wait."""


class ChunkApp(faust.App):
    """A Faust app that reads chunks; these are set before it starts.

    ``fetch_wait_ms``: how long a broker may hold a fetch for records to come. ``failed``: called
    when this process can't be in its group any more, or when it can't read on.
    """

    source: PositionSource
    chunk_records: int
    fetch_wait_ms: int
    failed: Callable[[KafkaError], None]

    def assigned(self) -> set[TP]:
        """Partitions that the group gave to this process; can be asked from any thread."""
        with suppress(ConsumerNotStarted):
            return set(self._consumer.assignment()) if self._consumer else set()
        return set()

    def joined(self) -> bool:
        """Whether this process is a member of its group, and every partition is settled."""
        return self.rebalancing_count > 0 and not self.rebalancing
