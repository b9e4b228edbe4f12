import asyncio
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest
from faust.types import TP

from stream_app.config import ConfigError
from stream_app.core.messages import Outgoing
from stream_app.lanes import BUSY_RECORDS, Lanes
from stream_app.ports import GapError, StoreLostError
from tests.builders import PROFILES, PURCHASES, a_chunk, a_record
from tests.lane_world import DEADLINE_S, World, eventually

HERE = TP(PURCHASES, 0)
PROFILES_HERE = TP(PROFILES, 0)
ELSEWHERE = TP("other", 7)


class Failures(list[BaseException]):
    """Where a worker would give up."""

    def give_up(self, error: BaseException) -> NoReturn:
        self.append(error)
        raise error


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
async def lanes(world: World, failures: Failures) -> AsyncIterator[Lanes]:
    lanes = Lanes(world.lane, (PURCHASES, PROFILES), failures.give_up)
    yield lanes
    world.open.set()
    await lanes.finish()


async def test_a_partition_is_claimed_once_for_all_its_topics(world: World, lanes: Lanes) -> None:
    known = await lanes.positions({HERE, PROFILES_HERE, ELSEWHERE}, generation=1)

    assert known == {HERE: None, PROFILES_HERE: None}
    assert world.claims == 1


async def test_asking_again_in_the_same_generation_claims_only_what_is_new(
    world: World, lanes: Lanes
) -> None:
    await lanes.positions({HERE}, generation=1)
    await lanes.positions({HERE, PROFILES_HERE, TP(PURCHASES, 1)}, generation=1)

    assert world.claims == 2


async def test_a_new_generation_claims_everything_anew(world: World, lanes: Lanes) -> None:
    await lanes.positions({HERE}, generation=1)
    epoch = world.store._of(0).epoch
    await lanes.positions({HERE}, generation=2)

    assert world.claims == 2
    assert world.store._of(0).epoch > epoch


async def test_reading_goes_on_at_the_watermark(world: World, lanes: Lanes) -> None:
    await lanes.positions({HERE}, generation=1)
    assert lanes.durable(HERE) is None
    await lanes.put(a_chunk(a_record(0), a_record(1)), 2)
    await eventually(lambda: lanes.durable(HERE) == 2)

    known = await lanes.positions({HERE, PROFILES_HERE}, generation=2)

    assert known == {HERE: 2, PROFILES_HERE: None}
    assert await world.orders() == 2


async def test_a_partition_nobody_ever_read_begins_at_its_earliest_record(lanes: Lanes) -> None:
    assert await lanes.start(HERE, None, 7) == 7
    assert await lanes.start(HERE, 0, 0) == 0


async def test_what_was_begun_but_never_written_is_not_committed(lanes: Lanes) -> None:
    """Else the next start would take the commit for records that the store has forgotten."""
    await lanes.positions({HERE}, generation=1)
    await lanes.start(HERE, None, 7)
    assert lanes.durable(HERE) is None

    await lanes.put(a_chunk(a_record(7)), None)
    await eventually(lambda: lanes.durable(HERE) == 8)


async def test_records_missing_right_at_the_beginning_are_asked_for(
    world: World, lanes: Lanes
) -> None:
    await lanes.positions({HERE}, generation=1)
    await lanes.start(HERE, None, 7)
    await lanes.put(a_chunk(a_record(9)), None)

    await eventually(lambda: world.rewinds == [(PURCHASES, 0, 7)])
    assert await world.orders() == 0


async def test_a_store_that_lost_its_memory_is_refused_with_what_to_do(
    lanes: Lanes, failures: Failures
) -> None:
    with pytest.raises(StoreLostError) as refused:
        await lanes.start(HERE, 41, 0)

    said = str(refused.value)
    assert failures == [refused.value]
    assert "purchases/0" in said
    assert "read up to 41" in said
    assert "REDIS_URL" in said
    assert "`segmenter rebuild`" in said


async def test_records_of_a_partition_that_is_not_ours_are_dropped(
    world: World, lanes: Lanes
) -> None:
    await lanes.put(a_chunk(a_record(0)), 1)
    await lanes.positions({HERE}, generation=1)
    lanes.release({HERE})
    await lanes.put(a_chunk(a_record(0)), 1)
    await lanes.finish()

    assert lanes.durable(HERE) is None
    assert await world.orders() == 0


async def test_revoking_lets_the_work_in_hand_finish(world: World, lanes: Lanes) -> None:
    await lanes.positions({HERE}, generation=1)
    world.open.clear()
    await lanes.put(a_chunk(a_record(0)), 1)
    await eventually(lambda: lanes.durable(HERE) == 1)
    lanes.release({HERE})
    world.open.set()
    await lanes.finish()

    assert len(world.published) == 1


async def test_handing_over_a_chunk_never_hangs_on_a_lane_that_was_released(
    world: World, lanes: Lanes
) -> None:
    await lanes.positions({HERE}, generation=1)
    world.open.clear()
    await lanes.put(a_chunk(a_record(0)), None)
    await eventually(lambda: lanes.durable(HERE) == 1)
    await lanes.put(a_chunk(a_record(1, "bob")), None)
    await eventually(lambda: lanes.durable(HERE) == 2)  # its publishing waits for the first one's
    flood = asyncio.create_task(flooded(lanes))
    await asyncio.wait({flood}, timeout=0.05)
    assert not flood.done()

    lanes.release({HERE})
    world.open.set()

    await asyncio.wait_for(flood, DEADLINE_S)


async def test_lanes_with_much_to_do_are_busy_and_have_no_room(world: World, lanes: Lanes) -> None:
    await lanes.positions({HERE, TP(PURCHASES, 1)}, generation=1)
    world.open.clear()
    for offset in (0, 1):  # the second is published after the first, and the lane waits for that
        await lanes.put(a_chunk(a_record(offset)), None)
        await eventually(lambda: lanes.durable(HERE) == offset + 1)  # noqa: B023 - awaited here
    few, many = 1 + BUSY_RECORDS, 2 + 2 * world.settings.chunk_records
    await lanes.put(a_chunk(*(a_record(n) for n in range(2, few))), None)
    assert (lanes.is_busy(), lanes.has_room(HERE)) == (False, True)

    await lanes.put(a_chunk(*(a_record(n) for n in range(few, many))), None)
    assert (lanes.is_busy(), lanes.has_room(HERE)) == (True, False)
    assert not lanes.has_room(PROFILES_HERE)  # the lane is one for both
    assert lanes.has_room(TP(PURCHASES, 1))


async def flooded(lanes: Lanes) -> None:
    for offset in range(2, 200):
        await lanes.put(a_chunk(a_record(offset)), None)


class Brokenness(World):
    async def publish(self, messages: list[Outgoing]) -> None:
        raise ConnectionError(f"{len(messages)} messages did not go out")


@pytest.fixture
def broken(failures: Failures) -> Lanes:
    return Lanes(Brokenness().lane, (PURCHASES, PROFILES), failures.give_up)


async def test_a_lane_that_fails_is_reported(broken: Lanes, failures: Failures) -> None:
    await broken.positions({HERE}, generation=1)
    await broken.put(a_chunk(a_record(0)), 2)
    await eventually(lambda: broken.durable(HERE) == 1)
    await broken.put(a_chunk(a_record(1)), 2)

    await eventually(lambda: failures)
    assert str(failures[0]) == "1 messages did not go out"


async def test_changes_that_could_not_be_published_are_reported_without_another_record(
    broken: Lanes, failures: Failures
) -> None:
    await broken.positions({HERE}, generation=1)
    await broken.put(a_chunk(a_record(0)), 1)

    await eventually(lambda: failures)


async def test_what_is_durable_can_still_be_asked_after_the_end(lanes: Lanes) -> None:
    await lanes.positions({HERE}, generation=1)
    await lanes.put(a_chunk(a_record(0)), 1)
    await eventually(lambda: lanes.durable(HERE) == 1)
    await lanes.finish()

    assert lanes.durable(HERE) == 1


async def test_a_partition_beyond_the_settings_is_refused_with_what_to_do(
    world: World, failures: Failures
) -> None:
    lanes = Lanes(world.lane, (PURCHASES, PROFILES), failures.give_up, partitions=4)

    with pytest.raises(ConfigError) as refused:
        await lanes.positions({HERE, TP(PURCHASES, 4)}, generation=1)

    assert "SEGMENTER_PARTITIONS is 4" in str(refused.value)
    assert "`segmenter rebuild`" in str(refused.value)
    assert world.claims == 0


async def test_records_deleted_before_they_were_read_are_refused_with_both_ways_out(
    lanes: Lanes, failures: Failures
) -> None:
    with pytest.raises(GapError) as refused:
        lanes.overrun(HERE, 7, 9)

    said = str(refused.value)
    assert failures == [refused.value]
    assert "at offset 7" in said
    assert "before 9" in said
    assert "`segmenter skip-gap`" in said
    assert "`segmenter rebuild`" in said
