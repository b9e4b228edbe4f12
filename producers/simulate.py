"""A simulated shop: seeded, in time order, every customer's true persona known.

Nothing here reads a clock, the environment or a hash: the same configuration gives the same
bytes in every process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import cos, log, pi, tau
from random import Random
from typing import NamedTuple

import msgspec

from producers.personas import STANDARD, Persona
from producers.sources import DAY_MS, Basket, Declared, Facts, Kind, Line, Record, iso

YEAR_DAYS = 365.25
PEAK_DAY = 350
PRICE_SPREAD = 0.35


@dataclass(frozen=True, slots=True)
class Change:
    """From ``day`` on, ``share`` of a persona's customers follow ``into`` (None: none returns).

    Half into a persona of share 0 splits it; all into another merges them; None removes it.
    """

    day: float
    persona: str
    into: str | None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Shock:
    """From ``day`` on, every gap and every basket is multiplied."""

    day: float
    gap: float = 2.0
    basket: float = 0.6


@dataclass(frozen=True, slots=True)
class ShopConfig:
    """A shop. ``start``: ms since 1970. ``join_days``: customers join evenly in the first days.

    ``drift``: yearly growth of every gap, and shrinking of every basket, as a part of 1.
    ``profiles``: part of the customers who declare age, gender and interests on joining.
    """

    seed: int = 42
    customers: int = 2_000
    days: float = 365.0
    start: int = 1_704_067_200_000
    join_days: float = 90.0
    personas: tuple[Persona, ...] = STANDARD
    changes: tuple[Change, ...] = ()
    shock: Shock | None = None
    drift: float = 0.1
    profiles: float = 0.5


class _Visit(NamedTuple):
    at: float
    number: int
    customer: int
    refund: float = 0.0
