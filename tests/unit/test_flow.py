from faust.types import TP

from stream_app.adapters.kafka_transport import ChunkConsumer
from stream_app.bootstrap import faust_app
from stream_app.config import load
from stream_app.trainer import GroupPositions

PLACES = {TP("purchases", p) for p in range(4)}


async def test_no_partition_waits_for_its_turn_when_the_buffer_has_room_again() -> None:
    app = faust_app(load(kafka_broker="127.0.0.1:1"), "flow", GroupPositions())
    consumer = app._new_consumer()
    assert isinstance(consumer, ChunkConsumer)
    consumer._set_active_tps(set(PLACES))

    for place in PLACES:
        consumer.on_buffer_full(place)
    assert consumer._get_active_partitions() == set()

    consumer.on_buffer_drop(TP("purchases", 2))
    assert consumer._get_active_partitions() == PLACES
