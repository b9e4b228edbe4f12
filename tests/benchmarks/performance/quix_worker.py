"""The same job in Quix Streams: a dataframe over the topic, features in Redis for each purchase."""

import sys
import tempfile
from typing import Any

import msgspec
from quixstreams import Application
from redis import Redis
from river import cluster, preprocessing

from tests.benchmarks.performance.simple_features import features, vector


def main(given: dict[str, Any]) -> None:
    """Run until killed."""
    session = round(1000 * given["session_timeout"])
    app = Application(
        broker_address=given["broker"],
        consumer_group=given["group"],
        auto_offset_reset="earliest",
        auto_create_topics=False,
        state_dir=tempfile.mkdtemp(),
        consumer_extra_config={"session.timeout.ms": session},
        loglevel="WARNING",
    )
    purchases = app.topic(given["topic"], value_deserializer="json", key_deserializer="str")
    changes = app.topic(given["changes"], value_serializer="json", key_serializer="str")
    store = Redis.from_url(given["redis_url"])
    model = preprocessing.StandardScaler() | cluster.KMeans(n_clusters=5, seed=42)

    def segment(purchase: dict[str, Any]) -> dict[str, Any] | None:
        name = purchase["customer_id"]
        key = f"{given['group']}:{name}"
        value: Any = store.get(key)
        old = msgspec.json.decode(value) if value else {}
        customer = features(old, purchase)
        x = vector(customer)
        model.learn_one(x)
        customer["cluster"] = model.predict_one(x)
        store.set(key, msgspec.json.encode(customer))
        if customer["cluster"] == old.get("cluster"):
            return None
        return {"customer_id": name, "from": old.get("cluster"), "to": customer["cluster"]}

    frame = app.dataframe(purchases).apply(segment)
    frame = frame.filter(lambda change: change is not None)
    frame.to_topic(changes)
    app.run()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1]))
