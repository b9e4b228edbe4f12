"""A batch whose bytes have changed on Kafka's disk."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from producers.checkout import CheckoutPublisher
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.config import Settings, environment
from tests.builders import purchase_json
from tests.harness import small_settings
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.integration
MARK = "this-one-changes"


@pytest.fixture
def settings(cluster: Cluster, redis_url: str, unique: Callable[[str], str]) -> Settings:
    found = small_settings(cluster.address, redis_url, unique("damaged"), partitions=1)
    asyncio.run(ensure_topics(found))
    return found


def damage(cluster: Cluster, topic: str) -> int:
    """Change a byte of the marked purchase in every copy of the log; return how many there are."""
    logs = list(cluster.home.glob(f"node-*/data/{topic}-0/*.log"))
    for log in logs:
        with log.open("r+b") as file:
            file.seek(file.read().index(MARK.encode()))
            file.write(b"T")
    return len(logs)


def test_a_damaged_batch_ends_the_worker_with_what_to_do(
    cluster: Cluster, settings: Settings
) -> None:
    with CheckoutPublisher(settings.kafka_broker, idempotence=True) as shop:
        shop.send(settings.topic_purchases, "c1", purchase_json("c1", MARK))
    assert damage(cluster, settings.topic_purchases) == settings.replication

    answer = subprocess.run(
        [sys.executable, "-m", "stream_app", "worker"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert answer.returncode == 70
    assert "Kafka holds a damaged batch" in answer.stderr
    assert "Invalid CRC" in answer.stderr
    assert settings.topic_purchases in answer.stderr
    assert "`segmenter skip-gap`" in answer.stderr
    assert "Traceback" not in answer.stderr
