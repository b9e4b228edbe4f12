"""How fast ``segmenter replay`` brings a Parquet file into the topic."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from producers.sources import Basket
from stream_app.config import Settings, environment
from tests.benchmarks.performance.loads import Load
from tests.benchmarks.performance.stage import Program, Sample, speed, until


def replayed(settings: Settings, load: Load) -> float:
    """Rate at which `segmenter replay` brings a Parquet file into the topic."""
    with tempfile.TemporaryDirectory(prefix="segmenter-bench-") as folder:
        place = Path(folder) / "purchases.parquet"
        events = load.events[load.warm :]
        write_parquet(place, [value for _, value in events])
        words = [sys.executable, "-m", "stream_app", "replay", "--data", str(place)]
        words += ["--position", str(Path(folder) / "position.json")]
        ends = Ends(settings)
        before = ends.total()
        with Program("replay", words, environment(settings)) as program:
            samples: list[Sample] = []

            def sent() -> bool:
                done = ends.total() - before
                samples.append(Sample(time.perf_counter(), done, 0.0, 0))
                return done >= len(events)

            until(sent, "everything is replayed", program)
            program.wait()
        return speed(samples, len(events)).rate


def write_parquet(place: Path, values: Sequence[bytes]) -> None:
    """Write purchases as a shop's file has them: a row for each line of a basket."""
    decode = msgspec.json.Decoder(Basket).decode
    rows = [(basket, line) for basket in map(decode, values) for line in basket.items]
    columns = {
        "customer_id": [basket.customer_id for basket, _ in rows],
        "order_id": [basket.event_id for basket, _ in rows],
        "timestamp": [basket.occurred_at for basket, _ in rows],
        "sku": [line.sku for _, line in rows],
        "category": [line.category for _, line in rows],
        "quantity": [line.quantity for _, line in rows],
        "unit_price": [line.unit_price for _, line in rows],
        "channel": [basket.channel for basket, _ in rows],
    }
    pq.write_table(pa.table(columns), place)


class Ends:
    """How many records the topic of purchases has."""

    def __init__(self, settings: Settings) -> None:
        options = {"bootstrap.servers": settings.kafka_broker, "group.id": "bench-ends"}
        self._consumer = Consumer(options)
        topic, count = settings.topic_purchases, settings.partitions
        self._places = [TopicPartition(topic, p) for p in range(count)]

    def total(self) -> int:
        """Sum of the partitions' end offsets."""
        return sum(self._consumer.get_watermark_offsets(place)[1] for place in self._places)
