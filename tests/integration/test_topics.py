"""Topics are created once, as the settings say, whoever comes first."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream_app.adapters.embedded import EmbeddedBroker
from stream_app.adapters.kafka_topics import TopicError, check_answers, ensure_topics
from stream_app.config import Settings

pytestmark = pytest.mark.integration

SET_ON_TOPIC = 1
ROLES = ("purchases", "profiles", "changes", "dead_letters", "vectors", "models")


@pytest.fixture
def settings(broker: str, unique: Callable[[str], str]) -> Settings:
    names = {f"topic_{role}": unique(role.replace("_", "-")) for role in ROLES}
    return Settings(kafka_broker=broker, partitions=3, **names)  # type: ignore[arg-type]


async def _described(settings: Settings) -> dict[str, tuple[int, dict[str, str]]]:
    """Partition count of each role's topic, and the configuration it was created with."""
    names = {getattr(settings, f"topic_{role}"): role for role in ROLES}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_broker)
    await admin.start()
    counts = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    await admin.close()
    configs = {row[3]: row[4] for answer in answers for row in answer.resources}
    return {
        role: (counts[name], {key: value for key, value, *_ in _own(configs[name])})
        for name, role in names.items()
    }


def _own(entries: list[tuple[str, str, bool, int]]) -> list[tuple[str, str, bool, int]]:
    """Only what was set on the topic: the embedded broker tells nothing else, nor its source."""
    return [entry for entry in entries if entry[3] == SET_ON_TOPIC] or entries


async def test_missing_topics_are_created_with_their_policies(settings: Settings) -> None:
    await ensure_topics(settings)

    month, hour = str(30 * 86_400_000), str(3_600_000)
    assert await _described(settings) == {
        "purchases": (3, {"cleanup.policy": "delete"}),
        "profiles": (3, {"cleanup.policy": "compact"}),
        "changes": (3, {"cleanup.policy": "compact,delete", "retention.ms": month}),
        "dead_letters": (1, {"cleanup.policy": "delete", "retention.ms": month}),
        "vectors": (1, {"cleanup.policy": "delete", "retention.ms": hour}),
        "models": (1, {"cleanup.policy": "compact"}),
    }


async def test_a_second_run_changes_nothing(settings: Settings) -> None:
    await ensure_topics(settings)
    before = await _described(settings)

    await ensure_topics(settings)

    assert await _described(settings) == before


async def test_many_processes_may_create_the_topics_at_once(settings: Settings) -> None:
    await asyncio.gather(*(ensure_topics(settings) for _ in range(8)))

    assert {role: count for role, (count, _) in (await _described(settings)).items()} == {
        "purchases": 3,
        "profiles": 3,
        "changes": 3,
        "dead_letters": 1,
        "vectors": 1,
        "models": 1,
    }


@pytest.mark.parametrize("role", ["topic_purchases", "topic_profiles"])
async def test_another_partition_count_is_refused_with_both_numbers(
    settings: Settings, unique: Callable[[str], str], role: str
) -> None:
    await ensure_topics(settings)
    other = {field: unique("other") for field in ("topic_purchases", "topic_profiles")}
    wrong = settings.model_copy(update={**other, role: getattr(settings, role), "partitions": 5})

    with pytest.raises(TopicError) as caught:
        await ensure_topics(wrong)

    message = str(caught.value)
    assert f"topic {getattr(settings, role)} has 3 partitions" in message
    assert "the settings say 5" in message
    assert "SEGMENTER_PARTITIONS=3" in message


def test_a_refused_topic_is_reported_with_the_answer_of_kafka() -> None:
    # The embedded broker accepts everything, so these are answers as Apache Kafka gives them.
    check_answers([("purchases", 0, None), ("profiles", 36, "exists already")])

    with pytest.raises(TopicError, match="create topic dead-letters: larger than available"):
        check_answers([("purchases", 0, None), ("dead-letters", 38, "larger than available")])


async def test_a_broker_that_does_not_answer_is_named(settings: Settings) -> None:
    with EmbeddedBroker() as stopped:
        address = stopped.address

    with pytest.raises(TopicError) as caught:
        await ensure_topics(settings.model_copy(update={"kafka_broker": address}))

    assert address in str(caught.value)
    assert "KAFKA_BROKER" in str(caught.value)
