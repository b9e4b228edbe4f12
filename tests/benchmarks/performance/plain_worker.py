"""The worker one would write first: Faust event by event, River's KMeans, features in Redis.

It keeps a few features of each customer as JSON, learns from every purchase and publishes the
cluster when it differs. It loses and repeats events in a crash, scores on features at the moment
of purchase only, and its clusters have neither names nor reasons.
"""

import sys
import tempfile
from typing import Any

import faust
import msgspec
from redis.asyncio import Redis
from river import cluster, preprocessing

from tests.benchmarks.performance.simple_features import features, vector


def application(given: dict[str, Any]) -> faust.App:
    """Build the app."""
    app = faust.App(
        given["group"],
        broker=f"kafka://{given['broker']}",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        broker_rebalance_timeout=given["rebalance_timeout"],
        broker_session_timeout=given["session_timeout"],
        broker_heartbeat_interval=1.0,
        datadir=tempfile.mkdtemp(dir=given.get("folder")),
    )
    purchases = app.topic(given["topic"], key_serializer="raw", value_serializer="json")
    changes = app.topic(given["changes"], key_serializer="raw", value_serializer="json")
    store = Redis.from_url(given["redis_url"])
    model = preprocessing.StandardScaler() | cluster.KMeans(n_clusters=5, seed=42)

    @app.agent(purchases)  # type: ignore[untyped-decorator, unused-ignore]
    async def segment(stream: Any) -> None:
        async for purchase in stream:
            name = purchase["customer_id"]
            key = f"{given['group']}:{name}"
            value = await store.get(key)
            old = msgspec.json.decode(value) if value else {}
            customer = features(old, purchase)
            x = vector(customer)
            model.learn_one(x)
            customer["cluster"] = model.predict_one(x)
            await store.set(key, msgspec.json.encode(customer))
            if customer["cluster"] != old.get("cluster"):
                change = {"customer_id": name, "from": old.get("cluster")}
                change["to"] = customer["cluster"]
                await changes.send(key=name.encode(), value=change)

    return app


if __name__ == "__main__":
    app = application(msgspec.json.decode(sys.argv[1]))
    sys.argv[1:] = ["--quiet", "worker", "--loglevel", "warn"]
    app.main()
