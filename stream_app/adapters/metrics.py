"""Every metric, declared once, fed by the shell from outcomes the core returns.

Base units: seconds, records. Labels are bounded: never a customer id.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

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
        self.registry = registry = CollectorRegistry()
        self._records = Counter(
            "segmenter_records", "Records by outcome", ["outcome"], registry=registry
        )
        self._moves = Counter(
            "segmenter_moves", "Segment changes by reason", ["reason"], registry=registry
        )
        self._held = Counter(
            "segmenter_flaps_avoided", "Moves held back by hysteresis", registry=registry
        )
        self._latency = Ages(
            "segmenter_latency_seconds",
            "From a record's publication to its effects being published",
            LATENCY_BUCKETS,
        )
        registry.register(self._latency)
        self._lag = Gauge(
            "segmenter_lag_records",
            "Records not yet applied",
            ["topic", "partition"],
            registry=registry,
        )
        self._clock = Gauge(
            "segmenter_event_clock_seconds", "Highest event time", ["partition"], registry=registry
        )
        self._customers = Gauge(
            "segmenter_segment_customers",
            "Customers in a segment",
            ["partition", "segment"],
            registry=registry,
        )
        self.partitions = Gauge("segmenter_partitions", "Partitions owned", registry=registry)
        self.model_version = Gauge(
            "segmenter_model_version", "Version of the model in use", registry=registry
        )
        self.store_ready = Gauge(
            "segmenter_store_ready", "1 while the store answers, else 0", registry=registry
        )
        self.samples = Counter(
            "segmenter_trainer_samples", "Vectors the trainer learned from", registry=registry
        )
        self.inertia_ratio = Gauge(
            "segmenter_inertia_ratio", "Online inertia over batch inertia", registry=registry
        )
        self._trainer = {
            name: Gauge(f"segmenter_trainer_{name}", meaning, registry=registry)
            for name, meaning in TRAINER.items()
        }
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

    def observe_latency(self, published_ms: Iterable[int], now_ms: int) -> None:
        """Record the age of each record at the moment its effects are out."""
        self._latency.add(max(0, now_ms - published) / 1000 for published in published_ms)

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
