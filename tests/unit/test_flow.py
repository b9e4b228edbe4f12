from collections.abc import AsyncIterator
from typing import cast

import pytest
from faust.types import TP

from stream_app.adapters.kafka_transport import ChunkConsumer
from stream_app.bootstrap import faust_app
from stream_app.config import load
from stream_app.trainer import GroupPositions

PLACES = {TP("purchases", p) for p in range(4)}


@pytest.fixture
async def consumer() -> AsyncIterator[ChunkConsumer]:
    app = faust_app(load(kafka_broker="127.0.0.1:1"), "flow", GroupPositions())
    consumer = cast("ChunkConsumer", app._new_consumer())
    yield consumer
    consumer._thread.thread_loop.close()


async def test_no_partition_waits_for_its_turn_when_the_buffer_has_room_again(
    consumer: ChunkConsumer,
) -> None:
    consumer._set_active_tps(set(PLACES))

    for place in PLACES:
        consumer.on_buffer_full(place)
    assert consumer._get_active_partitions() == set()

    consumer.on_buffer_drop(TP("purchases", 2))
    assert consumer._get_active_partitions() == PLACES
