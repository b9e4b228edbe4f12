"""Ports: what the pipeline needs from the outside world, and nothing else.

``adapters/memory_store.py`` and ``adapters/redis_store.py`` implement the store; both pass the
suite in ``tests/contract``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from stream_app.contracts import ModelSnapshot
from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing


class Pending(NamedTuple):
    """An outbox entry. ``id`` is ``<epoch>-<n>``; both grow, so entries keep their order."""

    id: str
    message: Outgoing


class ApplyStatus(StrEnum):
    """Answer of `apply`."""

    OK = "OK"
    OK_DUP = "OK_DUP"
    FENCED = "FENCED"
    MISMATCH = "MISMATCH"


@dataclass(frozen=True, slots=True)
class Claim:
    """Ownership of one partition. ``positions``: next offset per source topic; none when new."""

    epoch: int
    positions: dict[str, int]
    clock: int
    pending: tuple[Pending, ...]


class CustomerWrite(NamedTuple):
    """One customer's new state (None erases) and due time (ms; None: never)."""

    customer_id: str
    state: CustomerState | None
    due: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One atomic write. ``base == next`` for writes that consume no record (lapses, re-scores).

    ``id`` is unique, and a retry of the same batch carries the same id. ``after`` is the id of the
    write before it in the same epoch, empty for the first: states read or cached since then are
    worth something only if that is still the last write the store knows of.
    """

    id: str
    topic: str
    base: int
    next: int
    clock: int
    customers: Sequence[CustomerWrite] = ()
    outbox: Sequence[Pending] = ()
    counts: dict[str, int] = field(default_factory=dict)
    after: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """Answer to a batch.

    ``position``: the stored next offset of the batch's topic, -1 where there is none yet;
    ``next_due``: earliest due time of the partition (ms), None where there is none.
    """

    status: ApplyStatus
    position: int
    next_due: int | None = None


class StoreUnavailableError(Exception):
    """The store did not answer or refused to write; the caller retries the same call."""


class StoreLostError(Exception):
    """The group has read a partition before, but the store knows nothing of it."""


class GapError(Exception):
    """Kafka has deleted records before they were read."""


class DamagedLogError(Exception):
    """Kafka holds bytes that are not what was written."""


class SwitchedError(Exception):
    """Another generation of customers serves since a rebuild: start again on that one."""


class PartitionStore(Protocol):
    """State of the partitions: exact, fenced by an epoch, one atomic write per batch."""

    async def claim(self, partition: int, owner: str) -> Claim:
        """Take the partition: a new, greater epoch; earlier owners are fenced from now on."""

    async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
        """Check epoch, former write and base, then write everything, or nothing."""

    async def load(self, partition: int, customers: Sequence[str]) -> list[CustomerState | None]:
        """Read states in the order asked for; None where a customer is unknown."""

    async def due(self, partition: int, until: int, limit: int) -> list[str]:
        """List customers whose due time is at or before ``until`` (ms), earliest first."""

    async def sample(self, partition: int, count: int) -> tuple[int, list[str]]:
        """Return the population size, and ``count`` customers drawn uniformly with replacement."""

    async def scan(self, partition: int, cursor: int, count: int) -> tuple[int, list[str]]:
        """Walk all customers; start and end at cursor 0; each is seen at least once."""

    async def trim(self, partition: int, ids: Sequence[str]) -> None:
        """Remove published outbox entries."""

    async def counters(self, partition: int) -> dict[str, int]:
        """Read the sums of all batches' counts, plus ``next:<topic>`` and ``clock``."""


class ModelStore(Protocol):
    """Numbered, immutable snapshots, and the names that the user gave to segments."""

    async def latest_version(self) -> int:
        """Return the newest version, 0 when there is none."""

    async def load_model(self, version: int) -> ModelSnapshot | None:
        """Return one snapshot, None if it is not kept."""

    async def save_model(
        self, snapshot: ModelSnapshot, names: Mapping[int, str] | None = None
    ) -> bool:
        """Store a snapshot if its version is exactly the newest plus one; tell whether it was.

        ``names`` replace the user's names in the same write; None leaves them as they are.
        """

    async def names(self) -> dict[int, str]:
        """Read the names that the user gave, by segment id."""
