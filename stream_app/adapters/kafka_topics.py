"""The topics on Kafka: create what is missing, refuse what can't work, leave the rest alone.

``purchases``, ``profiles`` and ``segment-changes`` have ``SEGMENTER_PARTITIONS`` partitions;
``dead-letters``, ``feature-vectors`` and ``segment-models`` have one. Existing topics keep their
settings; of theirs only the partition count of ``purchases`` and ``profiles`` is checked, because
it decides which worker owns a customer.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.structs import TopicPartition

from stream_app.config import Settings

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
REQUEST_MS = 10_000
VISIBLE_SECONDS = 30.0
POLL_SECONDS = 0.1


class TopicError(Exception):
    """Kafka can't be reached, or a topic can't be used as it is; the message says what to do."""


async def ensure_topics(settings: Settings) -> None:
    """Create the missing topics and return once all can be seen; safe to run at the same time.

    Raises TopicError when the broker does not answer, refuses to create a topic, or has
    purchases or profiles with another number of partitions than ``settings.partitions``.
    """
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_broker, request_timeout_ms=REQUEST_MS
    )
    try:
        await admin.start()
        await _ensure(admin, settings)
    except (KafkaError, OSError, TimeoutError) as error:
        raise TopicError(
            f"Kafka at {settings.kafka_broker} does not answer ({type(error).__name__}): "
            "is it running, and does KAFKA_BROKER name it?"
        ) from None
    finally:
        await admin.close()


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """List a topic's partitions, none where there is no such topic.

    Asks Kafka: of a topic that a consumer does not read yet, the consumer itself knows nothing.
    """
    metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001
    return [TopicPartition(topic, p) for p in sorted(metadata.partitions_for_topic(topic) or ())]


async def _ensure(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    wanted = _wanted(settings)
    existing = await _partitions(admin)
    _check(existing, settings)
    missing = [topic for topic in wanted if topic.name not in existing]
    if missing:
        check_answers((await admin.create_topics(missing)).topic_errors)
        _check(await _visible(admin, {topic.name for topic in missing}), settings)


def _wanted(settings: Settings) -> list[NewTopic]:
    def topic(name: str, partitions: int, policy: str, retention: int | None = None) -> NewTopic:
        configs = {"cleanup.policy": policy}
        if retention is not None:
            configs["retention.ms"] = str(retention)
        return NewTopic(name, partitions, settings.replication, topic_configs=configs)

    count = settings.partitions
    return [
        topic(settings.topic_purchases, count, "delete"),
        topic(settings.topic_profiles, count, "compact"),
        topic(settings.topic_changes, count, "compact,delete", 30 * DAY_MS),
        topic(settings.topic_dead_letters, 1, "delete", 30 * DAY_MS),
        topic(settings.topic_vectors, 1, "delete", HOUR_MS),
        topic(settings.topic_models, 1, "compact"),
    ]


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Partition count by topic. Asks for all topics: naming one can make a broker create it."""
    return {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}


def check_answers(answers: Iterable[Sequence[Any]]) -> None:
    """Check Kafka's answers to a creation: name, error code and, since version 1, a message.

    A topic that another process has just created is fine; any other error raises TopicError.
    """
    for name, code, *message in answers:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            detail = (message and message[0]) or error.__name__
            raise TopicError(
                f"Kafka refused to create topic {name}: {detail}. Create it by hand, or change "
                "the rights of this client, SEGMENTER_PARTITIONS or SEGMENTER_REPLICATION"
            )


async def _visible(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, int]:
    async with asyncio.timeout(VISIBLE_SECONDS):
        # Nothing announces a new topic: the metadata must be polled.
        while not names <= (existing := await _partitions(admin)).keys():  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
    return existing


def _check(existing: dict[str, int], settings: Settings) -> None:
    for name in (settings.topic_purchases, settings.topic_profiles):
        found = existing.get(name, settings.partitions)
        if found != settings.partitions:
            raise TopicError(
                f"topic {name} has {found} partitions, the settings say {settings.partitions}: "
                f"set SEGMENTER_PARTITIONS={found}, or create the topic anew"
            )
