"""The events: a shop of any size, even or skewed, and The Complete Journey many times over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import KafkaException, Producer
from numpy.typing import NDArray

from producers.complete_journey import load_complete_journey
from producers.sources import DAY_MS, Basket, Line, iso

START_MS = 1_735_689_600_000  # 1 January 2025
GAP_DAYS = 5.8  # between two baskets of a household of The Complete Journey, on average
CATEGORIES = tuple(f"{word} {i}" for i in range(4) for word in ("Groceries", "Garden", "Clothing"))
CHANNELS = ("web", "app", "store")
ZIPF_EXPONENT = 1.1
JOURNEY_COPIES = 66  # of 2,469 households
JOURNEY_FROM = 30_000  # baskets: March, when nearly every household has bought
FLUSH_S = 120.0

Event = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Load:
    """Events in time order, (customer, JSON); the first ``warm`` are not timed."""

    name: str
    events: Sequence[Event]
    warm: int

    @property
    def timed(self) -> int:
        """How many are."""
        return len(self.events) - self.warm


def customers_of(name: str, count: int, customers: int, seed: int) -> NDArray[np.int64]:
    """Draw who buys: evenly, or by Zipf's law."""
    rng = np.random.default_rng(seed)
    if name != "zipf":
        return rng.integers(customers, size=count)
    weights = np.arange(1, customers + 1) ** -ZIPF_EXPONENT
    return rng.choice(customers, size=count, p=weights / weights.sum())


def shop(
    name: str, count: int, customers: int, seed: int, times: Sequence[int] | None = None
) -> list[Event]:
    """Purchases of three items, 400 to 500 bytes.

    ``times`` in ms; by default a customer buys as often as a household of The Complete Journey.
    """
    who = customers_of(name, count, customers, seed).tolist()
    rng = np.random.default_rng(seed + 1)
    prices = np.round(rng.uniform(1, 30, (count, 3)), 2).tolist()
    step = GAP_DAYS * DAY_MS / customers
    encode = msgspec.json.Encoder().encode
    made = []
    for n, (number, price) in enumerate(zip(who, prices, strict=True)):
        customer = f"c{number}"
        at = times[n] if times else START_MS + round(n * step)
        lines = [
            Line(f"article-{number % 89:03}-{i:06}", CATEGORIES[(n + number + i) % 12], 2.0, p)
            for i, p in enumerate(price)
        ]
        basket = Basket(f"order-{seed}-{n:08}", customer, iso(at), round(2 * sum(price) - 0.5, 2))
        basket.type, basket.currency, basket.discount = "purchase", "USD", 0.5
        basket.channel, basket.items = CHANNELS[number % 3], lines
        made.append((customer, encode(basket)))
    return made


def journey(count: int) -> list[Event]:
    """Baskets as they follow each other, each bought by 66 households of shifted ids."""
    wanted = -(-count // JOURNEY_COPIES)
    records = (record for record in load_complete_journey() if record.kind == "purchase")
    decode, encode = msgspec.json.Decoder(Basket).decode, msgspec.json.Encoder().encode
    made: list[Event] = []
    for record in islice(records, JOURNEY_FROM, JOURNEY_FROM + wanted):
        basket, event = decode(record.value), record.value
        customer, event_id = basket.customer_id, basket.event_id
        for copy in range(JOURNEY_COPIES):
            basket.customer_id, basket.event_id = f"{copy}-{customer}", f"{copy}-{event_id}"
            event = encode(basket)
            made.append((basket.customer_id, event))
    return made[:count]


def a_load(name: str, count: int, customers: int, seed: int) -> Load:
    """Make a workload of ``count`` timed events, after a fifth as many that warm up."""
    warm = count // 5
    total = count + warm
    events = journey(total) if name == "journey" else shop(name, total, customers, seed)
    return Load(name, events, min(warm, len(events) // 6))


def producer_of(broker: str, options: Mapping[str, Any]) -> Producer:
    """Connect a producer that puts customers where our own clients put them."""
    fixed = {"bootstrap.servers": broker, "partitioner": "murmur2_random", "log_level": 3}
    return Producer(fixed | {"acks": "all"} | dict(options))


def fill(broker: str, topic: str, events: Sequence[Event]) -> None:
    """Publish as fast as the broker takes it; return when everything is acknowledged."""
    failed: list[str] = []
    options = {"batch.size": 512 * 1024, "queue.buffering.max.messages": 500_000}
    producer = producer_of(broker, {"linger.ms": 20} | options)

    def settled(error: object, _message: object) -> None:
        if error:
            failed.append(str(error))

    for n, (customer, value) in enumerate(events):
        while True:
            try:
                producer.produce(topic, value, customer, on_delivery=settled)
                break
            except BufferError:
                producer.poll(0.1)
        if n % 1000 == 0:
            producer.poll(0)
    left = producer.flush(FLUSH_S)
    if left or failed:
        raise KafkaException(f"{left + len(failed)} records not acknowledged: {failed[:1]}")
