"""Every metric, declared once, fed by the shell from outcomes the core returns.

Base units: seconds, records. Labels are bounded: never a customer id.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge

from stream_app.adapters.ages import Ages

if TYPE_CHECKING:
    from stream_app.core.training import Trainer
    from stream_app.pipeline import Outcome, Session

OUTCOMES = ("applied", "duplicate", "dead")
TRAINER = {
    "customers": "Distinct customers the trainer knows: all while warming, then the latest",
    "history_days": "Days of purchase history among the customers seen",
    "warming": "1 until there is a first model, else 0",
    "frozen": "1 while the drift budget keeps new models back, else 0",
}
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="segmenter", registry=self.registry)
        gauge = partial(Gauge, namespace="segmenter", registry=self.registry)
        self._records = counter("records", "Records by outcome", ["outcome"])
        self._moves = counter("moves", "Segment changes by reason", ["reason"])
        self._held = counter("flaps_avoided", "Moves held back by hysteresis")
        self._latency = Ages(
            "segmenter_latency_seconds",
            "From a record's publication to its effects being published",
            LATENCY_BUCKETS,
        )
        self.registry.register(self._latency)
        self._lag = gauge("lag_records", "Records not yet applied", ["topic", "partition"])
        self._clock = gauge("event_clock_seconds", "Highest event time", ["partition"])
        self._customers = gauge(
            "segment_customers", "Customers in a segment", ["partition", "segment"]
        )
        self.partitions = gauge("partitions", "Partitions owned")
        self.model_version = gauge("model_version", "Version of the model in use")
        self.store_ready = gauge("store_ready", "1 while the store answers, else 0")
        self.samples = counter("trainer_samples", "Vectors the trainer learned from")
        self.inertia_ratio = gauge("inertia_ratio", "Online inertia over batch inertia")
        self._trainer = {name: gauge(f"trainer_{name}", text) for name, text in TRAINER.items()}
        self.store_ready.set(1)
        for outcome in OUTCOMES:
            self._records.labels(outcome)

    def observe(self, outcome: "Outcome") -> None:
        """Count one write."""
        for name in OUTCOMES:
            if outcome.counts[name]:
                self._records.labels(name).inc(outcome.counts[name])
        for reason, count in outcome.moves.items():
            self._moves.labels(reason.value).inc(count)
        self._held.inc(outcome.counts["held"])

    def observe_trainer(self, trainer: "Trainer") -> None:
        """Show how far the trainer is."""
        self._trainer["customers"].set(trainer.customers)
        self._trainer["history_days"].set(trainer.history_days)
        self._trainer["warming"].set(trainer.state == "warming")
        self._trainer["frozen"].set(trainer.state == "frozen")

    def observe_latency(self, published_ms: Sequence[int], now_ms: int) -> None:
        """Record the age of each record at the moment its effects are out."""
        ages = now_ms - np.array(published_ms, dtype=np.float64)
        self._latency.add(np.maximum(ages, 0.0) / 1000)

    def observe_partition(
        self, session: "Session", ends: dict[str, int], sizes: dict[int, int]
    ) -> None:
        """Show a partition's lag per topic, its clock and its segment sizes."""
        partition = str(session.partition)
        for topic, end in ends.items():
            lag = max(0, end - session.positions.get(topic, 0))
            self._lag.labels(topic, partition).set(lag)
        self._clock.labels(partition).set(session.clock / 1000)
        for segment, size in sizes.items():
            self._customers.labels(partition, str(segment)).set(size)

    def forget_partition(self, partition: int, topics: Iterable[str]) -> None:
        """Stop showing a partition that another worker owns now."""
        for topic in topics:
            self._lag.remove_by_labels({"topic": topic, "partition": str(partition)})
        self._clock.remove_by_labels({"partition": str(partition)})
        self._customers.remove_by_labels({"partition": str(partition)})
