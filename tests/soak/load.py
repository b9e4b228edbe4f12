"""Purchases and profiles at a steady rate, with duplicates, late events and poison among them."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from producers.checkout import CheckoutPublisher, DeliveryError
from producers.scramble import Scrambled, Trouble
from producers.simulate import ShopConfig, Simulation
from producers.sources import Record
from stream_app.config import Settings

START = 1_420_070_400_000  # 2015
DAYS = 3_000.0
DAILY = 0.04  # orders of a customer, at least
TICK_S = 0.05
DUPLICATES, LATE, POISON = 0.03, 0.02, 0.02
STOP_SECONDS = 130.0  # longer than the publisher tries to deliver


def poison(rng: Random, number: int) -> Record:
    """Return a record nobody can count: cut short, nested, huge, empty or plain noise."""
    key = f"poison-{rng.randrange(40)}"
    values = (
        b"",
        b"null",
        b'{"event_id": "x", "customer_id"',
        b'{"a":' * 20_000,
        b"[" * 60_000,
        b"x" * 900_000 if number % 50 == 0 else b"x" * 70_000,
        rng.randbytes(100),
        b'{"event_id": "e", "customer_id": "c", "occurred_at": "2020-01-01", "total": 1e999}',
    )
    return Record("purchase", key, START, rng.choice(values))


class Load(threading.Thread):
    """Publishes ``rate`` records a second until `stop`; ``sent``: how many so far."""

    def __init__(self, settings: Settings, seed: int, rate: float, seconds: float) -> None:
        super().__init__(name="load", daemon=True)
        self.sent = 0
        self.poison = 0
        self.failed: Exception | None = None
        self._settings, self._rate = settings, rate
        self._rng = Random(f"{seed}/load")
        self._burst = 0
        self._stopped = threading.Event()
        customers = max(1_000, round(rate * seconds / (DAYS * DAILY)))
        shop = ShopConfig(seed=seed, customers=customers, days=DAYS, start=START, join_days=60)
        trouble = Trouble(seed, DUPLICATES, LATE, malformed=POISON)
        self._source = Scrambled(Simulation(replace(shop, drift=0.0)), trouble)

    def burst(self, count: int) -> None:
        """Send so many bad records at once, as soon as possible."""
        self._burst += count

    @property
    def is_bursting(self) -> bool:
        """Whether some of a burst are still to be sent."""
        return self._burst > 0

    def stop(self) -> None:
        """Stop, and wait until everything sent is acknowledged; raises what went wrong."""
        self._stopped.set()
        self.join(STOP_SECONDS)
        if self.failed:
            raise self.failed

    def run(self) -> None:
        """Publish; what goes wrong is kept for `stop`."""
        publisher = CheckoutPublisher(
            self._settings.kafka_broker,
            topic_purchases=self._settings.topic_purchases,
            topic_profiles=self._settings.topic_profiles,
            idempotence=self._settings.idempotence,
        )
        try:
            with publisher:
                self._publish(publisher)
        except Exception as error:  # noqa: BLE001 - told by `stop`, in the other thread
            self.failed = error

    def _publish(self, publisher: CheckoutPublisher) -> None:
        records, began = iter(self._source), time.monotonic()
        normal = 0
        while not self._stopped.wait(TICK_S):
            due = round((time.monotonic() - began) * self._rate)
            for record in self._next(records, due - normal):
                self._send(publisher, record)
            normal = due

    def _next(self, records: Iterator[Record], count: int) -> Iterator[Record]:
        while self._burst:
            self._burst -= 1
            self.poison += 1
            yield poison(self._rng, self.poison)
        for _ in range(count):
            yield next(records)

    def _send(self, publisher: CheckoutPublisher, record: Record) -> None:
        """Send; while the broker is away the next record waits."""
        settings = self._settings
        purchase = record.kind == "purchase"
        topic = settings.topic_purchases if purchase else settings.topic_profiles
        while not self._stopped.is_set():
            try:
                publisher.send(topic, record.customer_id, record.value)
            except DeliveryError:
                continue
            self.sent += 1
            return
