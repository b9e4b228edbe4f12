"""Purchase histories as records ready to publish: light, in time order, counted.

A source knows its facts (how many, from when to when, what was skipped and why) before the first
record is drawn, and encodes each record only when it is asked for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec

Kind = Literal["purchase", "profile"]
DAY_MS = 86_400_000


class SourceError(Exception):
    """A source cannot be read; the message says what was found and what to do."""


class Record(NamedTuple):
    """One message: its topic's kind, its key, event time (ms since 1970, UTC) and JSON value."""

    kind: Kind
    customer_id: str
    at: int
    value: bytes


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A line of a basket, as `stream_app.contracts.Item` reads it."""

    sku: str = ""
    category: str | None = None
    quantity: float = 1.0
    unit_price: float = 0.0


class Basket(msgspec.Struct, omit_defaults=True):
    """A purchase or refund, as `stream_app.contracts.Purchase` reads it."""

    event_id: str
    customer_id: str
    occurred_at: str
    total: float
    type: str = "purchase"
    currency: str = "USD"
    discount: float = 0.0
    channel: str | None = None
    items: Sequence[Line] = ()


class Declared(msgspec.Struct, omit_defaults=True):
    """A profile, as `stream_app.contracts.Profile` reads it."""

    customer_id: str
    updated_at: str
    age: int | None = None
    gender: str | None = None
    interests: Sequence[str] = ()
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source holds. Times in ms; ``notes`` are sentences the user should read.

    ``purchases`` counts refunds too; None where they are not known before the end.
    """

    name: str
    purchases: int | None
    profiles: int
    first: int
    last: int
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Sequence[str] = ()

    @property
    def total(self) -> int | None:
        """Records in the source; None where that is not known before the end."""
        return None if self.purchases is None else self.purchases + self.profiles


class Source(Protocol):
    """A history: facts first, then records in time order."""

    @property
    def facts(self) -> Facts:
        """What the source holds."""

    def __iter__(self) -> Iterator[Record]:
        """Encode the records one by one, always in the same order."""


class DatedBasket(NamedTuple):
    """A basket and its time in ms."""

    at: int
    basket: Basket


@dataclass(frozen=True, slots=True)
class BasketList:
    """A source held in memory, sorted by time."""

    facts: Facts
    baskets: Sequence[DatedBasket]

    def __iter__(self) -> Iterator[Record]:
        """Encode the baskets one by one."""
        encode = msgspec.json.Encoder().encode
        for at, basket in self.baskets:
            yield Record("purchase", basket.customer_id, at, encode(basket))


def iso(at: int) -> str:
    """Milliseconds since 1970 as an ISO 8601 time in UTC.

    >>> iso(1_000)
    '1970-01-01T00:00:01Z'
    """
    text = datetime.fromtimestamp(at / 1000, UTC).isoformat(
        timespec="milliseconds" if at % 1000 else "seconds"
    )
    return text.replace("+00:00", "Z")


def package_folder(package: str, install: str) -> Path:
    """Find an installed package without importing it.

    Raises SourceError that says what to install.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(f"the package {package} is not installed: run `{install}`")
    return Path(spec.submodule_search_locations[0])
