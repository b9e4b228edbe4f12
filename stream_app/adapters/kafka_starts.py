"""Where the logs begin and reading has come to: whether Kafka has deleted what was to be read next.

aiokafka goes on at the earliest offset when its position is gone, and only logs it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.types import TP

from stream_app.session import Chunk

ANSWER_S = 5.0
AGAIN_S = 0.2


async def starts(consumer: AIOKafkaConsumer, tps: Iterable[TP]) -> dict[TP, int]:
    """Ask for the first offset of each partition; none if Kafka does not answer in time."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return dict(await consumer.beginning_offsets(list(tps)))
    except (KafkaError, TimeoutError):
        return {}


def position_of(consumer: AIOKafkaConsumer, tp: TP) -> int | None:
    """Offset after the last record read or passed over (markers, aborted records), if it has one.

    The consumer's own `position` would wait for one.
    """
    state = _state(consumer, tp)
    return int(state.position) if state and state.has_valid_position else None


def is_behind(consumer: AIOKafkaConsumer, tp: TP) -> bool:
    """Whether the last answer of the broker told of more than has been read."""
    position, state = position_of(consumer, tp), _state(consumer, tp)
    return position is not None and position < (state.highwater or 0)


def _state(consumer: AIOKafkaConsumer, tp: TP) -> Any:
    subscription = consumer._subscription.subscription  # noqa: SLF001
    assignment = subscription.assignment if subscription else None
    return assignment.state_value(tp) if assignment else None


async def overrun(
    consumer: AIOKafkaConsumer, fetched: Mapping[TP, Chunk]
) -> tuple[TP, int, int] | None:
    """Tell where records were deleted that were wanted: partition, wanted and first offset.

    Legal holes (compaction, transactions) are none. Asks until Kafka answers: what was fetched
    must not be handed on unchecked.
    """
    for tp, chunk in fetched.items():
        read = chunk.records[0].offset if chunk.records else chunk.next
        if read > chunk.base:
            # Nothing announces that Kafka answers again: it must be asked.
            while not (found := await starts(consumer, [tp])):  # noqa: ASYNC110
                await asyncio.sleep(AGAIN_S)
            if found[tp] > chunk.base:
                return tp, chunk.base, found[tp]
    return None
