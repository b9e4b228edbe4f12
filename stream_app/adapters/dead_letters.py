"""The dead-letter topic for operators: read it, send letters back, remember what was done.

A replay sends key, value and headers as they were to the topic they came from, with
``replayed-from`` added. Each letter is claimed in Redis before it is sent (see `letter_marks`), so
neither a second call nor a second operator sends it again. During an outage of Kafka the publisher
may repeat a batch; a worker recognises a purchase it has counted by its ``event_id``.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from stream_app.adapters import kafka_batches  # noqa: F401 - any header name can be read
from stream_app.adapters.clock import wall_ms
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.kafka_topics import partitions_of
from stream_app.adapters.letter_marks import Deed, LetterMarks, Mark, letter_marks
from stream_app.config import ConfigError, Settings
from stream_app.core.events import to_datetime
from stream_app.core.letters import Letter, read_letter

FETCH_MS = 300
SILENCE_S = 15.0
SEND_S = 15.0
BATCH = 100


class LetterBox:
    """Letters and their marks. ``foreign``: records of the topic that are none of our letters."""

    def __init__(self, settings: Settings, marks: LetterMarks) -> None:
        self.foreign = 0
        self.marks = marks
        self._settings = settings

    async def letters(self) -> AsyncGenerator[Letter, None]:
        """Yield every letter once, oldest first, up to the present end of the topic.

        Raises ConfigError if no broker answers.
        """
        self.foreign = 0
        seen: set[str] = set()
        async with aclosing(
            read_topic(self._settings, self._settings.topic_dead_letters)
        ) as records:
            async for record in records:
                letter = read_letter(record)
                self.foreign += letter is None
                if letter and letter.mark not in seen:
                    seen.add(letter.mark)
                    yield letter

    async def replay(self, marks: Collection[str], *, again: bool = False) -> int:
        """Send the letters with these marks back; return how many were sent.

        Those that somebody has handled meanwhile are left out, unless ``again``. Raises
        ConfigError if Kafka does not take them; what had begun stays marked "sending".
        """
        sent, batch = 0, list[Letter]()
        publisher = KafkaPublisher(self._settings)
        try:
            async with aclosing(self.letters()) as letters:
                async for letter in letters:
                    if letter.mark in marks:
                        batch.append(letter)
                    if len(batch) == BATCH:
                        sent += await self._send(publisher, batch, again=again)
                        batch.clear()
            return sent + await self._send(publisher, batch, again=again)
        finally:
            await publisher.close()

    async def _send(self, publisher: KafkaPublisher, letters: list[Letter], *, again: bool) -> int:
        mine = await self._claimed(letters, again=again)
        names = [letter.mark for letter in mine]
        try:
            async with asyncio.timeout(SEND_S):
                await publisher.publish([letter.again() for letter in mine])
        except TimeoutError:
            raise ConfigError(
                f"KAFKA_BROKER: {len(mine)} records were not acknowledged and may or may not have "
                f"arrived, the first from letter {mine[0].id}: `segmenter dead-letters list` shows "
                "them as sending; replay them with --again once Kafka answers"
            ) from None
        await self.marks.put(names, _now(Deed.REPLAYED))
        return len(mine)

    async def _claimed(self, letters: list[Letter], *, again: bool) -> list[Letter]:
        names = [letter.mark for letter in letters]
        if again:
            await self.marks.put(names, _now(Deed.SENDING))
            return letters
        won = await self.marks.claim(names, _now(Deed.SENDING))
        return [letter for letter, mine in zip(letters, won, strict=True) if mine]

    async def discard(self, marks: Collection[str]) -> None:
        """Mark letters as handled without sending them."""
        await self.marks.put(marks, _now(Deed.DISCARDED))


@asynccontextmanager
async def letter_box(settings: Settings) -> AsyncIterator[LetterBox]:
    """Open the letters for a ``with`` block; ConfigError if a service is missing or silent."""
    if not settings.kafka_broker:
        raise ConfigError("KAFKA_BROKER is not set: for example 127.0.0.1:9092")
    async with letter_marks(settings) as marks:
        yield LetterBox(settings, marks)


def _now(deed: Deed) -> Mark:
    return Mark(deed, to_datetime(wall_ms()))


async def read_topic(settings: Settings, topic: str) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield the records of a topic up to its present end; ConfigError if no broker answers."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_broker,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        waiting = set(await partitions_of(consumer, topic))
        consumer.assign(list(waiting))
        async for record in _until_end(consumer, waiting):
            yield record
    except (KafkaError, OSError, TimeoutError) as error:
        raise ConfigError(
            f"KAFKA_BROKER: no broker answers at {settings.kafka_broker} ({type(error).__name__})"
        ) from None
    finally:
        await consumer.stop()


async def _until_end(
    consumer: AIOKafkaConsumer, waiting: set[TopicPartition]
) -> AsyncIterator[ConsumerRecord]:
    """Read until every partition has been at its end; TimeoutError where nothing comes any more.

    The end is what a fetch says (high water): a broker's list of end offsets may lag behind.
    """
    clock = asyncio.get_running_loop().time
    heard = clock()
    while waiting:
        fetched = await consumer.getmany(timeout_ms=FETCH_MS)
        for records in fetched.values():
            for record in records:
                yield record
        done = {tp for tp in waiting if await _at_end(consumer, tp)}
        waiting -= done
        heard = clock() if fetched or done else heard
        if clock() - heard > SILENCE_S:
            raise TimeoutError


async def _at_end(consumer: AIOKafkaConsumer, tp: TopicPartition) -> bool:
    end = consumer.highwater(tp)
    return end is not None and await consumer.position(tp) >= end
