from collections.abc import AsyncIterator
from typing import cast

import pytest
from faust.types import TP

from stream_app.adapters.kafka_transport import BUFFER_WAIT_S, ChunkConsumer
from stream_app.bootstrap import faust_app
from stream_app.config import load
from stream_app.pipeline import Chunk
from stream_app.trainer import GroupPositions

PLACES = {TP("purchases", p) for p in range(4)}
LONG_S = 1.0


class Source(GroupPositions):
    """One that is told which partitions have room."""

    def __init__(self) -> None:
        super().__init__()
        self.room = set(PLACES)

    def has_room(self, tp: TP) -> bool:
        return tp in self.room


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def consumer(source: Source) -> AsyncIterator[ChunkConsumer]:
    app = faust_app(load(kafka_broker="127.0.0.1:1"), "flow", source)
    consumer = cast("ChunkConsumer", app._new_consumer())
    consumer._set_active_tps(set(PLACES))
    yield consumer
    consumer._thread.thread_loop.close()


@pytest.fixture
def fetches(
    consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[set[TP], float]]:
    """The fetches that are asked for, instead of a broker's answers."""
    asked = []

    async def getmany(partitions: set[TP], timeout: float) -> dict[TP, list[object]]:  # noqa: ASYNC109
        asked.append((partitions, timeout))
        return {}

    monkeypatch.setattr(consumer._thread, "getmany", getmany)
    return asked


async def test_only_partitions_with_room_are_fetched_and_not_waited_for_long(
    consumer: ChunkConsumer, source: Source, fetches: list[tuple[set[TP], float]]
) -> None:
    await consumer._wait_next_records(LONG_S)
    full = TP("purchases", 2)
    source.room.discard(full)
    await consumer._wait_next_records(LONG_S)
    source.room.add(full)
    await consumer._wait_next_records(LONG_S)

    assert fetches == [
        (PLACES, LONG_S),
        (PLACES - {full}, BUFFER_WAIT_S),
        (PLACES, LONG_S),
    ]


async def test_nothing_is_fetched_while_no_partition_has_room(
    consumer: ChunkConsumer, source: Source, fetches: list[tuple[set[TP], float]]
) -> None:
    source.room.clear()

    assert await consumer._wait_next_records(LONG_S) == ({}, PLACES)
    assert fetches == []


async def test_a_fetch_is_one_message_with_a_chunk_of_each_partition_in_turn(
    consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = TP("purchases", 1), TP("purchases", 2)
    early, late = Chunk("purchases", 1, 0, 5, []), Chunk("purchases", 1, 5, 9, [])
    other = Chunk("purchases", 2, 40, 42, [])
    fetch = {one: [early, late], two: [other]}
    _answer(consumer, fetch, monkeypatch)

    (message,) = [message async for _, message in consumer.getmany(LONG_S)]

    assert cast("list[Chunk]", message.value) == [early, other, late]
    assert (message.tp, message.offset) == (one, 4)


async def test_what_was_fetched_of_a_partition_that_is_no_longer_read_is_left_out(
    consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, gone = Chunk("purchases", 1, 0, 5, []), Chunk("purchases", 9, 0, 7, [])
    _answer(consumer, {TP("purchases", 9): [gone], TP("purchases", 1): [ours]}, monkeypatch)

    (message,) = [message async for _, message in consumer.getmany(LONG_S)]

    assert cast("list[Chunk]", message.value) == [ours]


async def test_what_was_fetched_is_dropped_when_the_flow_has_stopped_meanwhile(
    consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer(consumer, {TP("purchases", 1): [Chunk("purchases", 1, 0, 5, [])]}, monkeypatch)

    fetches = consumer.getmany(LONG_S)
    monkeypatch.setattr(consumer, "flow_active", False)

    assert [message async for _, message in fetches] == []


def _answer(
    consumer: ChunkConsumer, fetch: dict[TP, list[Chunk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the broker's answer to a fetch be this one."""

    async def wait(timeout: float) -> tuple[dict[TP, list[Chunk]], set[TP]]:  # noqa: ASYNC109
        assert timeout == LONG_S
        return fetch, set(PLACES)

    monkeypatch.setattr(consumer, "_wait_next_records", wait)
