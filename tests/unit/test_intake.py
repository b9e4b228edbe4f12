from collections.abc import Sequence

from stream_app.intake import ENOUGH_CHUNKS, Intake
from stream_app.session import Chunk
from tests.builders import a_chunk, a_record

MOST = 4


async def an_intake(*chunks: Chunk) -> Intake:
    intake = Intake(MOST)
    for chunk in chunks:
        await intake.put(chunk)
    return intake


def chunks_of(sizes: Sequence[int], base: int = 0) -> list[Chunk]:
    """Chunks that follow each other."""
    made = []
    for size in sizes:
        made.append(a_chunk(*(a_record(base + n) for n in range(size))))
        base += size
    return made


async def test_chunks_that_follow_each_other_are_taken_together_up_to_the_size_of_one() -> None:
    intake = await an_intake(*chunks_of([1, 2, 3]), *chunks_of([1], base=9))

    taken = [await intake.next(0) for _ in range(4)]

    assert [chunk and (chunk.base, chunk.next) for chunk in taken] == [
        (0, 3),
        (3, 6),
        (9, 10),
        None,
    ]
    assert intake.records == 0


async def test_the_records_of_a_chunk_that_is_held_back_for_the_next_turn_still_wait() -> None:
    intake = await an_intake(*chunks_of([MOST, 1]))

    await intake.next(0)

    assert intake.records == 1


async def test_what_is_dropped_no_longer_waits() -> None:
    intake = await an_intake(*chunks_of([2, 1]))

    intake.clear()

    assert intake.records == 0


async def test_there_is_room_until_two_full_chunks_of_records_wait() -> None:
    first, last = chunks_of([2 * MOST - 1, 1])
    intake = await an_intake(first)
    room = [intake.has_room]
    await intake.put(last)
    room.append(intake.has_room)
    await intake.next(0)
    room.append(intake.has_room)

    assert room == [True, False, True]


async def test_there_is_no_room_either_behind_many_chunks_without_records() -> None:
    empty = Chunk("purchases", 0, 0, 1, [])
    intake = await an_intake(*[empty] * (ENOUGH_CHUNKS - 1))
    room = [intake.has_room]
    await intake.put(empty)
    room.append(intake.has_room)

    assert room == [True, False]
