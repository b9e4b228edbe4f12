"""A simulated shop: seeded, in time order, every customer's true persona known.

Nothing here reads a clock, the environment or a hash: the same configuration gives the same
bytes in every process.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf, nextafter
from random import Random
from typing import NamedTuple

import msgspec

from producers.behaviour import Market, Shock, fill_basket, next_visit
from producers.personas import STANDARD, Persona
from producers.sources import DAY_MS, Basket, Declared, Facts, Record, iso

TASTE_SPREAD = 0.2
REFUND_DAYS = (1.0, 14.0)
REFUND_PARTS = (0.2, 1.0)


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
class ShopConfig:
    """A shop. ``start``: ms since 1970; days count from there.

    Customers join evenly in the first ``join_days``. ``drift``: yearly growth of every gap, and
    shrinking of every basket, as a part of 1. ``profiles``: part of the customers who declare age,
    gender and interests on joining. Raises ValueError for a change that names no persona.
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

    def __post_init__(self) -> None:
        known = {persona.name for persona in self.personas} | {None}
        for change in self.changes:
            if not {change.persona, change.into} <= known:
                raise ValueError(f"{change} names a persona that the shop has not")


class Customer(NamedTuple):
    """Drawn once: day of joining, persona at first, taste for spending, and a coin per change."""

    id: str
    joined: float
    persona: Persona
    taste: float
    declares: bool
    coins: tuple[float, ...]


class _Visit(NamedTuple):
    """A planned purchase, or a refund of some amount; ``number`` breaks ties in time."""

    day: float
    number: int
    customer: int
    refund: float = 0.0


class Simulation:
    """The shop as a source; iterating twice gives the same records."""

    def __init__(self, config: ShopConfig | None = None) -> None:
        self.config = config = config or ShopConfig()
        self._personas = {persona.name: persona for persona in config.personas}
        self.changes = sorted(config.changes, key=lambda change: change.day)
        rng = Random(f"{config.seed}/customers")
        self.customers = [self._customer(rng, i) for i in range(config.customers)]
        last = config.start + int(config.days * DAY_MS)
        self.facts = Facts(f"simulation-{config.seed}", None, 0, config.start, last)

    def truth(self, at: int) -> dict[str, str | None]:
        """Persona by customer who joined by ``at`` (ms); None: shops no more."""
        day = (at - self.config.start) / DAY_MS
        joined = (customer for customer in self.customers if customer.joined <= day)
        found = ((customer.id, self.persona(customer, day)) for customer in joined)
        return {customer: persona.name if persona else None for customer, persona in found}

    def __iter__(self) -> Iterator[Record]:
        """Let the shop run."""
        return _Run(self).records()

    def persona(self, customer: Customer, day: float) -> Persona | None:
        """Persona of a customer on a day; None: shops no more."""
        persona: Persona | None = customer.persona
        for change, coin in zip(self.changes, customer.coins, strict=True):
            hit = persona is not None and persona.name == change.persona and coin < change.share
            if hit and change.day <= day:
                persona = self._personas[change.into] if change.into else None
        return persona

    def _customer(self, rng: Random, number: int) -> Customer:
        config = self.config
        weights = [persona.share for persona in config.personas]
        return Customer(
            f"c{number:06d}",
            rng.uniform(0.0, config.join_days),
            rng.choices(config.personas, weights)[0],
            rng.lognormvariate(0.0, TASTE_SPREAD),
            rng.random() < config.profiles,
            tuple(rng.random() for _ in config.changes),
        )


class _Run:
    """One run of a shop: a queue of visits, earliest first."""

    def __init__(self, shop: Simulation) -> None:
        self._shop, self._config = shop, shop.config
        self._rng = Random(f"{shop.config.seed}/visits")
        self._encode = msgspec.json.Encoder().encode
        self._market = Market(shop.config.start, shop.config.drift, shop.config.shock)
        self._planned = [customer.joined for customer in shop.customers]
        self._queue = [_Visit(c.joined, i, i) for i, c in enumerate(shop.customers)]
        self._visits, self._events = len(self._queue), 0
        heapify(self._queue)

    def records(self) -> Iterator[Record]:
        changes = deque(self._shop.changes)
        while self._queue and self._queue[0].day < self._config.days:
            if changes and changes[0].day <= self._queue[0].day:
                self._replan(changes.popleft())
                continue
            visit = heappop(self._queue)
            if visit.refund:
                yield self._refund(visit)
            elif visit.day == self._planned[visit.customer]:
                yield from self._visit(visit)

    def _visit(self, visit: _Visit) -> Iterator[Record]:
        customer = self._shop.customers[visit.customer]
        persona = self._shop.persona(customer, visit.day)
        if persona is None:
            return
        if visit.day == customer.joined and customer.declares:
            yield self._profile(customer, persona)
        yield self._purchase(visit, customer, persona)
        self._plan(visit.customer, persona, visit.day)

    def _plan(self, number: int, persona: Persona, day: float) -> None:
        joined = self._shop.customers[number].joined
        self._planned[number] = inf
        if not persona.once:
            at = next_visit(self._rng, persona, self._market, joined, day)
            self._planned[number] = at
            self._push(at, number)

    def _replan(self, change: Change) -> None:
        """Give those whom a change moves a next visit after their new persona."""
        for number, customer in enumerate(self._shop.customers):
            before = self._shop.persona(customer, nextafter(change.day, -inf))
            persona = self._shop.persona(customer, change.day)
            if customer.joined < change.day and persona is not before and persona is not None:
                self._plan(number, persona, change.day)

    def _push(self, day: float, customer: int, refund: float = 0.0) -> None:
        self._visits += 1
        heappush(self._queue, _Visit(day, self._visits, customer, refund))

    def _purchase(self, visit: _Visit, customer: Customer, persona: Persona) -> Record:
        rng, factor = self._rng, customer.taste * self._market.basket(visit.day)
        bought = fill_basket(rng, persona, factor)
        if rng.random() < persona.refund:
            part = round(bought.total * rng.uniform(*REFUND_PARTS), 2)
            self._push(visit.day + rng.uniform(*REFUND_DAYS), visit.customer, part)
        basket = self._basket(visit, bought.total)
        basket.discount, basket.channel = bought.discount, persona.channel
        basket.items = bought.lines
        return self._record(visit, basket)

    def _refund(self, visit: _Visit) -> Record:
        basket = self._basket(visit, visit.refund)
        basket.type = "refund"
        return self._record(visit, basket)

    def _basket(self, visit: _Visit, total: float) -> Basket:
        self._events += 1
        event_id = f"sim-{self._config.seed}-{self._events}"
        customer = self._shop.customers[visit.customer].id
        return Basket(event_id, customer, iso(self._at(visit.day)), total)

    def _record(self, visit: _Visit, basket: Basket) -> Record:
        at = self._at(visit.day)
        return Record("purchase", basket.customer_id, at, self._encode(basket))

    def _profile(self, customer: Customer, persona: Persona) -> Record:
        at = self._at(customer.joined)
        age = min(90, max(18, round(self._rng.gauss(persona.age, 9))))
        gender = self._rng.choice(("female", "male", "other"))
        declared = Declared(customer.id, iso(at), age, gender, persona.categories[:2])
        return Record("profile", customer.id, at, self._encode(declared))

    def _at(self, day: float) -> int:
        return self._config.start + int(day * DAY_MS)
