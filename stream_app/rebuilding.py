"""What a rebuild begins with and ends with: the former generation, models, and the announcement."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from stream_app.adapters.dead_letters import read_topic
from stream_app.adapters.generations import Generations
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.redis_client import connect
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import facts_of
from stream_app.config import ConfigError, Settings
from stream_app.contracts import ModelSnapshot, SegmentChanged
from stream_app.core.features import FeatureSet
from stream_app.core.messages import Outgoing, change_headers
from stream_app.core.model import Models, SegmentModel
from stream_app.core.snapshots import SnapshotError, read_snapshot

logger = logging.getLogger(__name__)
NOTICE_KEY = b"notice"


class RebuildError(Exception):
    """The rebuild can't go on; the message says why. What serves is unchanged."""


@dataclass(frozen=True, slots=True)
class Former:
    """The generation that serves while another one is built."""

    number: int
    topic: str
    partitions: int
    store: RedisStore


def former_of(settings: Settings, number: int, facts: Mapping[str, str]) -> Former:
    """Open the generation that serves, under the settings it was counted with."""
    topic = facts.get("TOPIC_PURCHASES", settings.topic_purchases)
    partitions = int(facts.get("PARTITIONS", settings.partitions))
    store = RedisStore(connect(settings.redis_url), settings.namespace, topic, number)
    return Former(number, topic, partitions, store)


def fingerprint(settings: Settings, features: FeatureSet) -> dict[str, str]:
    """All that decides what is counted; an interrupted rebuild under another one starts over."""
    judged = ("rates", "max_event_bytes", "oldest_event", "margin", "topic_profiles")
    values = settings.model_dump(mode="json")
    facts = {"rebuild": repr([features.version, *(values[name] for name in judged)])}
    return facts_of(settings) | facts


async def usable_models(store: RedisStore, features: FeatureSet, margin: float) -> Models:
    """Load the snapshots that fit the features; without any, nobody is placed for now."""
    models = Models()
    latest = await store.latest_version()
    for version in range(max(1, latest - models.keep + 1), latest + 1):
        try:
            if snapshot := await store.load_model(version):
                models.add(SegmentModel(snapshot, features, margin))
        except SnapshotError as error:
            logger.info("not judging with it: %s", error)
    return models


async def published_models(settings: Settings) -> list[ModelSnapshot]:
    """Read every version from its topic, oldest first; ConfigError if no broker answers."""
    found: dict[int, ModelSnapshot] = {}
    async for record in read_topic(settings, settings.topic_models):
        if record.value and record.key != NOTICE_KEY:
            try:
                snapshot = read_snapshot(record.value)
            except SnapshotError as error:
                logger.warning("left out: %s", error)
            else:
                found[snapshot.version] = snapshot
    return [found[version] for version in sorted(found)]


async def announce(
    settings: Settings, generations: Generations, number: int, publisher: KafkaPublisher
) -> int:
    """Publish where a rebuild has placed customers, with ``replay``; return how many.

    Safe to repeat after an interruption: what was sent is forgotten.
    """
    facts, sent = await generations.facts(number), 0
    for partition in range(int(facts.get("PARTITIONS", 0))):
        stamp = int(facts.get(f"epoch:{partition}", 0))
        home = (settings.topic_purchases, partition)
        async for moves in generations.held(number, home):
            messages = [_stamped(settings.topic_changes, move, stamp) for move in moves.values()]
            await publisher.publish(messages)
            sent += len(messages)
    return sent


def _stamped(topic: str, move: bytes, epoch: int) -> Outgoing:
    change = SegmentChanged.model_validate_json(move).model_copy(update={"epoch": epoch})
    key, body = change.customer_id.encode(), change.model_dump_json().encode()
    return Outgoing(topic, key, body, change_headers(change))


def check_possible(settings: Settings) -> None:
    """Raise ConfigError where a service is not named."""
    for name in ("kafka_broker", "redis_url"):
        if not getattr(settings, name):
            raise ConfigError(f"{name.upper()} is not set: a rebuild reads Kafka and writes Redis")
