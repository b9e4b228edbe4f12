"""A group that Kafka does not let a process into: said where it stays so, else tried again."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from stream_app.adapters.kafka_group import heed_errors
from stream_app.config import environment
from tests.harness import small_settings, until
from tests.kafka.cluster import GROUP_SIZE, Cluster

pytestmark = pytest.mark.integration


@asynccontextmanager
async def member(cluster: Cluster, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that joins the group named like the topic, started as Faust starts it."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.address, group_id=topic, heartbeat_interval_ms=200
    )
    await consumer.start()
    try:
        consumer.subscribe([topic])
        yield consumer
    finally:
        await consumer.stop()


@pytest.fixture
async def topic(cluster: Cluster, unique: Callable[[str], str]) -> str:
    name = unique("groups")
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.address)
    await admin.start()
    await admin.create_topics([NewTopic(name, GROUP_SIZE, 1)])
    await admin.close()
    return name


async def test_a_member_that_a_full_group_refused_joins_once_there_is_room(
    cluster: Cluster, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[KafkaError] = []
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(member(cluster, topic))
        await until(first.assignment, "the first member has joined")
        for _ in range(GROUP_SIZE - 1):
            other = await stack.enter_async_context(member(cluster, topic))
            await until(other.assignment, "another member has joined")
        late = await stack.enter_async_context(member(cluster, topic))

        def is_refused() -> bool:
            heed_errors(late, failures.append)
            return "not joined, trying again" in caplog.text

        await until(is_refused, "the group is full")
        assert not late.assignment()
        await first.stop()

        def has_joined() -> bool:
            heed_errors(late, failures.append)
            return bool(late.assignment())

        await until(has_joined, "the late member has joined")
    assert failures == []


def test_a_session_timeout_that_kafka_refuses_is_named(
    cluster: Cluster, redis_url: str, unique: Callable[[str], str]
) -> None:
    settings = small_settings(cluster.address, redis_url, unique("groups"), session_timeout=4.0)

    answer = subprocess.run(
        [sys.executable, "-m", "stream_app", "worker"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert answer.returncode == 78
    assert "SEGMENTER_SESSION_TIMEOUT is 4" in answer.stderr
    assert "group.min.session.timeout.ms" in answer.stderr
    assert "Traceback" not in answer.stderr
