"""Where the logs begin: whether Kafka has deleted what was to be read next.

aiokafka goes on at the earliest offset when its position is gone, and only logs it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from faust.types import TP

ANSWER_S = 5.0
AGAIN_S = 0.2


async def starts(consumer: AIOKafkaConsumer, tps: Iterable[TP]) -> dict[TP, int]:
    """Ask for the first offset of each partition; none if Kafka does not answer in time."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return dict(await consumer.beginning_offsets(list(tps)))
    except (KafkaError, TimeoutError):
        return {}


async def overrun(
    consumer: AIOKafkaConsumer,
    fetched: Mapping[TP, Sequence[ConsumerRecord]],
    wanted: Mapping[TP, int],
) -> tuple[TP, int, int] | None:
    """Tell where records were deleted that were wanted: partition, wanted and first offset.

    Legal holes (compaction, transactions) are none. Asks until Kafka answers: what was fetched
    must not be handed on unchecked.
    """
    for tp, records in fetched.items():
        base = wanted.get(tp, records[0].offset)
        if records[0].offset > base:
            # Nothing announces that Kafka answers again: it must be asked.
            while not (found := await starts(consumer, [tp])):  # noqa: ASYNC110
                await asyncio.sleep(AGAIN_S)
            if found[tp] > base:
                return tp, base, found[tp]
    return None
