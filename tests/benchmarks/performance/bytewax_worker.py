"""The same job in Bytewax: keyed state in the dataflow, written to Redis a batch at a time."""

import sys
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from redis import Redis
from river import cluster, preprocessing

from tests.benchmarks.performance.simple_features import features, vector

EARLIEST = -2  # as librdkafka writes it

Customer = dict[str, Any]
Step = tuple[Customer | None, tuple[Customer, Customer]]


class RedisPartition(StatelessSinkPartition[tuple[str, Any]]):
    """Writes the last state of each customer of a batch, in one round trip."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._store = Redis.from_url(given["redis_url"])
        self._group = given["group"]

    def write_batch(self, items: list[tuple[str, Any]]) -> None:
        """Write, and count for whoever measures."""
        last = {name: customer for name, (_, customer) in items}
        encode = msgspec.json.encode
        with self._store.pipeline(transaction=False) as pipe:
            pipe.mset({f"{self._group}:{name}": encode(value) for name, value in last.items()})
            pipe.incrby(f"{self._group}:done", len(items))
            pipe.execute()


class RedisSink(DynamicSink[tuple[str, Any]]):
    """One partition a worker."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def build(self, step_id: str, worker_index: int, worker_count: int) -> RedisPartition:  # noqa: ARG002
        """Connect."""
        return RedisPartition(self._given)


def dataflow(given: dict[str, Any]) -> Dataflow:
    """Build the flow: parse, fold by customer, write; publish where the cluster differs."""
    model = preprocessing.StandardScaler() | cluster.KMeans(n_clusters=5, seed=42)

    def parse(message: Any) -> tuple[str, Customer]:
        return message.key.decode(), msgspec.json.decode(message.value)

    def fold(state: Customer | None, purchase: Customer) -> Step:
        old = state or {}
        customer = features(old, purchase)
        x = vector(customer)
        model.learn_one(x)
        customer["cluster"] = model.predict_one(x)
        return customer, (old, customer)

    def moved(item: tuple[str, tuple[Customer, Customer]]) -> Any:
        name, (old, customer) = item
        if customer["cluster"] == old.get("cluster"):
            return None
        change = {"customer_id": name, "from": old.get("cluster"), "to": customer["cluster"]}
        return KafkaSinkMessage(name.encode(), msgspec.json.encode(change))

    flow = Dataflow("segment")
    brokers, topics = [given["broker"]], [given["topic"]]
    source = KafkaSource(brokers, topics, tail=True, starting_offset=EARLIEST)
    keyed = op.map("parse", op.input("purchases", flow, source), parse)
    folded = op.stateful_map("fold", keyed, fold)
    op.output("redis", folded, RedisSink(given))
    changes = op.filter_map("moved", folded, moved)
    op.output("changes", changes, KafkaSink(brokers, given["changes"]))
    return flow


if __name__ == "__main__":
    run_main(dataflow(msgspec.json.decode(sys.argv[1])))
