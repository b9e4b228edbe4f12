"""What the commands read from a topic is all of it, whichever broker answers."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest

from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.config import Settings, environment
from stream_app.contracts import SegmentChanged
from stream_app.core.messages import Outgoing
from stream_app.schema_examples import examples
from tests.builders import START
from tests.harness import small_settings

pytestmark = pytest.mark.integration


def latest(settings: Settings, count: int) -> list[SegmentChanged]:
    """What ``segmenter changes`` prints."""
    shown = subprocess.run(
        [sys.executable, "-m", "stream_app", "changes", "--json", "--last", str(count)],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [SegmentChanged.model_validate_json(line) for line in shown.stdout.splitlines()]


def a_change(number: int) -> SegmentChanged:
    example = SegmentChanged.model_validate(examples()["SegmentChanged"][0]["payload"])
    emitted = START + timedelta(seconds=number)
    fields = {"id": f"1-{number}", "customer_id": f"c{number % 40}", "emitted_at": emitted}
    return example.model_copy(update=fields)


async def test_the_latest_changes_are_shown_oldest_first(
    broker: str, redis_url: str, unique: Callable[[str], str]
) -> None:
    settings = small_settings(broker, redis_url, unique("changes"))
    changes = [a_change(number) for number in range(500)]
    await ensure_topics(settings)
    publisher = KafkaPublisher(settings)
    keyed = [(c.customer_id.encode(), c.model_dump_json().encode()) for c in changes]
    await publisher.publish([Outgoing(settings.topic_changes, *each) for each in keyed])
    await publisher.close()

    assert await asyncio.to_thread(latest, settings, 600) == changes
    assert await asyncio.to_thread(latest, settings, 5) == changes[-5:]
