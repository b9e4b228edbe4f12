"""Hostile records, compressed batches and transactions' markers through a broker and a worker."""

from collections.abc import Callable
from random import Random

import pytest

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.config import Settings
from stream_app.core.events import Rejected, decode_profile, decode_purchase
from stream_app.demo.system import running
from tests.builders import FAR, LIMITS, PROFILES, ARecord, purchase_json
from tests.fuzz.mutations import hostile
from tests.harness import small_settings
from tests.hostile_system import (
    PRICE,
    a_producer,
    counted,
    letters,
    orders_of,
    purchases,
    reached,
    send,
)

pytestmark = pytest.mark.integration

CODECS = ("gzip", "snappy", "lz4", "zstd")
LONG_KEY = b"k" * 1_048_000


@pytest.fixture
async def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    values = {"partitions": 1, "dead_letter_limit": 1.0, "rates": LIMITS.rates}
    found = small_settings(broker, redis_url, unique("hostile"), **values)
    await ensure_topics(found)
    return found


@pytest.mark.parametrize("codec", CODECS)
async def test_compressed_batches_are_read_and_bad_records_in_them_are_picked_out(
    settings: Settings, codec: str
) -> None:
    customers = [f"c{n}" for n in range(10)]
    records = purchases(customers, 5)
    records[7:7] = [ARecord(0, b"c1", b"{" * 1_000), ARecord(0, None, purchase_json())]

    with running(settings, workers=1) as system:
        async with a_producer(settings, compression_type=codec, linger_ms=200) as producer:
            await send(producer, settings.topic_purchases, records)
        counts = await reached(system, settings.topic_purchases, 52)

    assert (counts["applied"], counts["dead"]) == (50, 2)
    expected = dict.fromkeys(customers, (5, round(5 * PRICE * 1e6)))
    assert await orders_of(settings, customers) == expected


async def test_hostile_records_are_all_accounted_for_and_reach_nobody_else(
    settings: Settings,
) -> None:
    customers = [f"v{n}" for n in range(8)]
    sent = a_mixture(settings, purchases(customers, 5))

    with running(settings, workers=1) as system:
        async with a_producer(settings) as producer:
            for topic, records in sent.items():
                await send(producer, topic, records)
                await reached(system, topic, len(records))
        counts = await counted(settings)

    total = sum(map(len, sent.values()))
    assert counts["applied"] + counts.get("duplicate", 0) + counts["dead"] == total
    expected = dict.fromkeys(customers, (5, round(5 * PRICE * 1e6)))
    assert await orders_of(settings, customers) == expected
    found = await letters(settings, counts["dead"])
    refused = {
        f"{topic}-0-{n}": (record.key, record.value, record.headers)
        for topic, records in sent.items()
        for n, record in enumerate(records)
        if is_refused(settings, topic, record)
    }
    assert sorted(letter.id for letter in found) == sorted(refused)
    whole = [letter for letter in found if letter.full_size is None]
    assert [(e.key, e.value, e.headers) for e in whole] == [refused[e.id] for e in whole]
    (long,) = [letter for letter in found if (letter.key or b"").startswith(b"kkk")]
    assert long.key is not None
    assert LONG_KEY.startswith(long.key)


def a_mixture(settings: Settings, good: list[ARecord]) -> dict[str, list[ARecord]]:
    """Purchases and profiles of 400 hostile records that Kafka takes, shuffled with good ones."""
    random = Random(4)
    drawn = [hostile(random) for _ in range(400)]
    mixed = [*good, *(record for topic, record in drawn if topic != PROFILES and fits(record))]
    mixed.append(ARecord(0, LONG_KEY, b"{"))
    random.shuffle(mixed)
    profiles = [record for topic, record in drawn if topic == PROFILES and fits(record)]
    profiles = [record for record in profiles if record.key is not None]  # a compacted topic's rule
    return {settings.topic_purchases: mixed, settings.topic_profiles: profiles}


def fits(record: ARecord) -> bool:
    """Whether Kafka takes it at all: at most one mebibyte together."""
    size = len(record.key or b"") + len(record.value or b"")
    return size + sum(len(n) + len(v or b"") + 10 for n, v in record.headers) < 1_048_400


def is_refused(settings: Settings, topic: str, record: ARecord) -> bool:
    decode = decode_purchase if topic == settings.topic_purchases else decode_profile
    return isinstance(decode(record, LIMITS, FAR), Rejected)


@pytest.mark.usefixtures("cluster")
async def test_the_watermark_passes_the_markers_of_transactions(
    settings: Settings, unique: Callable[[str], str]
) -> None:
    topic = settings.topic_purchases
    with running(settings, workers=1) as system:
        async with a_producer(settings, transactional_id=unique("shop")) as producer:
            for n, ends in enumerate(("commit", "abort", "commit", "abort")):
                await producer.begin_transaction()
                await send(producer, topic, purchases([f"t{n}"], 3))
                await getattr(producer, f"{ends}_transaction")()
                counts = await reached(system, topic, 4 * (n + 1))

    assert counts["applied"] == 6
    assert set(await orders_of(settings, ["t0", "t1", "t2", "t3"])) == {"t0", "t2"}
