"""What a worker refuses to start on, and the command that mends it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.structs import TopicPartition
from typer.testing import CliRunner, Result

from producers.checkout import CheckoutPublisher
from stream_app.adapters.gaps import Gap, letter_of, skip
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.adapters.queries import partition_of
from stream_app.bootstrap import store_of
from stream_app.cli import app
from stream_app.config import Settings, environment
from stream_app.demo.system import Child, running
from stream_app.ports import Batch
from tests.builders import purchase_json
from tests.harness import asking, read_topic, small_settings, until
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.integration
CUSTOMERS = [f"c{n}" for n in range(40)]


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    found = small_settings(broker, redis_url, unique("refusal"), partitions=2)
    asyncio.run(ensure_topics(found))
    return found


def command(settings: Settings, *words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, words, env=environment(settings), input=answer)


def process(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stream_app", *words],
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def buy(settings: Settings, round_: int) -> None:
    """Everybody buys once."""
    with CheckoutPublisher(settings.kafka_broker, idempotence=settings.idempotence) as shop:
        for who in CUSTOMERS:
            value = purchase_json(who, f"{who}-{round_}", at=round_)
            shop.send(settings.topic_purchases, who, value)


async def counted(settings: Settings, records: int) -> None:
    async with asking(settings) as (queries, _):

        async def all_of_them() -> bool:
            return (await queries.overview()).records >= records

        await until(all_of_them, f"{records} records are counted")


async def orders(settings: Settings) -> list[int]:
    async with asking(settings) as (queries, _):
        found = await queries.states(CUSTOMERS)
    return [state.orders if state else 0 for state in found.values()]


async def test_where_nothing_is_missing_skip_gap_changes_nothing(settings: Settings) -> None:
    answer = await asyncio.to_thread(command, settings, "skip-gap")

    assert answer.exit_code == 0
    assert answer.stderr == "nothing is missing\n"


async def test_a_gap_is_written_down_with_the_watermark_and_can_be_listed_but_not_replayed(
    settings: Settings,
) -> None:
    gap = Gap(settings.topic_purchases, 1, 5, 9)
    publisher, store = KafkaPublisher(settings), store_of(settings)
    claim = await store.claim(1, "w1")
    await store.apply(1, claim.epoch, Batch(f"{claim.epoch}-1", gap.topic, 0, 5, clock=0))

    letter = letter_of(gap, settings.topic_dead_letters, 1_760_000_000_000)
    assert await skip(store, publisher, gap, letter, "operator")
    assert not await skip(store, publisher, gap, letter, "operator")
    counters, waiting = await store.counters(1), await store.outbox_length(1)
    await publisher.close()
    await store.close()

    assert counters[f"next:{gap.topic}"] == 9
    assert (counters["gap"], waiting) == (4, 0)
    words = ("dead-letters", "list", "--json")
    (found,) = json.loads((await asyncio.to_thread(command, settings, *words)).stdout)["letters"]
    assert (found["id"], found["reason"]) == (f"{gap.topic}-1-5", "gap")
    replayed = await asyncio.to_thread(
        command, settings, "dead-letters", "replay", "--all", "--yes"
    )
    assert "its records are gone" in replayed.stderr


@pytest.fixture
def on_kafka(cluster: Cluster, settings: Settings) -> Settings:
    """Settings on Apache Kafka: the embedded broker can neither delete records nor grow topics."""
    assert cluster.address == settings.kafka_broker
    return settings


async def delete_before(settings: Settings, offset: int) -> None:
    """Let retention have its effect on the purchases."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_broker)
    await admin.start()
    try:
        await admin.delete_records(
            {
                TopicPartition(settings.topic_purchases, p): RecordsToDelete(before_offset=offset)
                for p in range(settings.partitions)
            }
        )
    finally:
        await admin.close()


async def with_a_gap(settings: Settings) -> None:
    """Count one round; of the next, Kafka deletes a part before anybody has read it."""
    await asyncio.to_thread(buy, settings, 1)
    with running(settings, workers=1):
        await counted(settings, len(CUSTOMERS))
    await asyncio.to_thread(buy, settings, 2)
    in_first = sum(partition_of(who, settings.partitions) == 0 for who in CUSTOMERS)
    fewest = min(in_first, len(CUSTOMERS) - in_first)
    await delete_before(settings, 2 * fewest - 1)


async def test_records_deleted_before_they_were_counted_are_refused_and_can_be_skipped(
    on_kafka: Settings,
) -> None:
    await with_a_gap(on_kafka)

    refused = await asyncio.to_thread(process, on_kafka, "worker")
    skipped = await asyncio.to_thread(process, on_kafka, "skip-gap", "--yes")

    assert refused.returncode == 70
    assert "deleted everything before" in refused.stderr
    assert "`segmenter skip-gap`" in refused.stderr
    assert "`segmenter rebuild`" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert skipped.returncode == 0, skipped.stderr
    letters = await read_topic(on_kafka, on_kafka.topic_dead_letters, 1)
    assert letters
    with running(on_kafka, workers=1):
        await asyncio.to_thread(buy, on_kafka, 3)
        async with asking(on_kafka) as (queries, _):

            async def everybody_bought() -> bool:
                return min(await orders(on_kafka)) >= 2

            await until(everybody_bought, "the purchases after the gap are counted")
            assert (await queries.overview()).counts["gap"] > 0


async def test_a_rebuild_is_the_other_way_out_of_a_gap(on_kafka: Settings) -> None:
    await with_a_gap(on_kafka)

    answer = await asyncio.to_thread(process, on_kafka, "rebuild")

    assert answer.returncode == 0, answer.stderr
    worker = Child("worker", on_kafka)
    try:
        await asyncio.to_thread(buy, on_kafka, 3)

        async def everybody_bought() -> bool:
            return min(await orders(on_kafka)) >= 1

        await until(everybody_bought, "a worker goes on after the rebuild")
        worker.check()
    finally:
        worker.kill()


async def test_partitions_added_under_a_running_worker_stop_it_and_a_rebuild_unites_customers(
    on_kafka: Settings,
) -> None:
    await asyncio.to_thread(buy, on_kafka, 1)
    worker = Child("worker", on_kafka)
    try:
        await counted(on_kafka, len(CUSTOMERS))
        admin = AIOKafkaAdminClient(bootstrap_servers=on_kafka.kafka_broker)
        await admin.start()
        grown = {t: NewPartitions(5) for t in (on_kafka.topic_purchases, on_kafka.topic_profiles)}
        await admin.create_partitions(grown)
        await admin.close()
        refused = await asyncio.to_thread(process, on_kafka, "worker")
    finally:
        worker.kill()
    wider = on_kafka.model_copy(update={"partitions": 5})
    changed = await asyncio.to_thread(process, wider, "worker")
    await asyncio.to_thread(buy, wider, 2)

    rebuilt = await asyncio.to_thread(process, wider, "rebuild")

    assert refused.returncode == 78
    assert "SEGMENTER_PARTITIONS=5" in refused.stderr
    assert changed.returncode == 78
    assert "`segmenter rebuild`" in changed.stderr
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert await orders(wider) == [2] * len(CUSTOMERS)
