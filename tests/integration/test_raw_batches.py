"""Batches that no client library of ours would write, as a broker stores them."""

from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.config import Settings
from stream_app.demo.system import running
from tests.builders import ARecord, purchase_json
from tests.harness import small_settings
from tests.hostile_system import PRICE, a_producer, letters, orders_of, purchases, reached, send

pytestmark = pytest.mark.integration

NAME = "a-header"
NOT_UTF8 = b"\xff-header"
CRC, CHECKED = slice(17, 21), slice(21, None)
LONG_VALUE = b"{" + b" " * 900_000


@pytest.fixture
async def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    values = {"partitions": 1, "dead_letter_limit": 1.0}
    found = small_settings(broker, redis_url, unique("raw"), **values)
    await ensure_topics(found)
    return found


async def send_batch(
    producer: AIOKafkaProducer, topic: str, records: list[ARecord], name: bytes = NAME.encode()
) -> None:
    """Send records as one batch, in which the header ``NAME`` has another name of its length."""
    batch = producer.create_batch()
    for record in records:
        headers = list(record.headers)
        assert batch.append(timestamp=None, key=record.key, value=record.value, headers=headers)
    raw = bytearray(batch._build()).replace(NAME.encode(), name)
    raw[CRC] = calc_crc32c(bytes(raw[CHECKED])).to_bytes(4, "big")
    batch._buffer = bytes(raw)
    await (await producer.send_batch(batch, topic, partition=0))


async def test_a_header_name_that_is_not_utf8_stops_nobody(settings: Settings) -> None:
    good, topic = purchases(["a", "b"], 3), settings.topic_purchases
    named = ((NAME, b"1"), ("another", None))
    odd = ARecord(0, b"c", purchase_json("c", "c-0", total=PRICE), headers=named)
    bad = ARecord(0, b"d", b"{", headers=named)

    with running(settings, workers=1) as system:
        async with a_producer(settings) as producer:
            await send_batch(producer, topic, [*good[:3], odd, bad, *good[3:5]], NOT_UTF8)
            await send(producer, topic, good[5:])
        counts = await reached(system, topic, 8)

    assert (counts["applied"], counts["dead"]) == (7, 1)
    once = round(PRICE * 1e6)
    expected = {"a": (3, 3 * once), "b": (3, 3 * once), "c": (1, once)}
    assert await orders_of(settings, ["a", "b", "c"]) == expected
    (letter,) = await letters(settings, 1)
    assert (letter.key, letter.value) == (b"d", b"{")
    assert letter.headers == (("\ufffd-header", b"1"), ("another", None))


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_a_small_batch_of_many_huge_values_is_accounted_for(
    settings: Settings, codec: str
) -> None:
    huge = [ARecord(0, b"h%d" % n, LONG_VALUE) for n in range(20)]
    good, topic = purchases(["a"], 2), settings.topic_purchases

    with running(settings, workers=1) as system:
        options = {"compression_type": codec, "max_batch_size": 20_000_000}
        async with a_producer(settings, **options) as producer:
            await send_batch(producer, topic, [good[0], *huge, good[1]])
        counts = await reached(system, topic, 22)

    assert (counts["applied"], counts["dead"]) == (2, 20)
    assert {letter.value for letter in await letters(settings, 20)} == {LONG_VALUE}
