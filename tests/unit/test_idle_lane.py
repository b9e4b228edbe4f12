"""A lane's work beside the records: new models, lapses, samples."""

import asyncio

import pytest

from stream_app.core.model import Models
from stream_app.duties import Duties
from stream_app.pace import DAY_MS, LEAST_CUSTOMERS, MOST_CUSTOMERS, LaneSettings, Walk
from tests.builders import (
    a_chunk,
    a_pipeline,
    a_record,
    a_snapshot,
    changes_in,
    serving,
)
from tests.lane_world import World, at, eventually, running


@pytest.mark.parametrize(("least", "seconds"), [(5000, 240), (50, 240), (0.001, 5)])
async def test_a_new_model_reaches_every_customer_while_nothing_else_happens(
    least: float, seconds: float
) -> None:
    rates = LaneSettings(0, 0, 0, least, rescore_seconds=seconds)
    world = World(models=Models(), settings=rates, tick=1000)
    async with running(world) as lane:
        await lane.put(a_chunk(*[a_record(i, f"c{i}") for i in range(300)]), None)
        await eventually(lambda: at(lane) == 300)
        world.models.add(serving().current)
        await eventually(lambda: len(world.published) == 300)
        world.models.add(serving(a_snapshot(2, names=("A", "B", "C"))).current)
        await eventually(lambda: all(s.model == 2 for s in lane.session.cache.values()))

    assert len({m.key for m in world.published}) == 300


async def test_silent_customers_lapse_while_the_lane_is_idle() -> None:
    world = World()
    async with running(world) as lane:
        await lane.put(a_chunk(a_record(0), a_record(1, "bob", at=1000)), None)
        await eventually(lambda: len(world.published) == 4)

    told = [(m.customer_id, m.current.name) for m in changes_in(world.published)]
    assert told == [("ann", "Active"), ("bob", "Active"), ("ann", "Quiet"), ("ann", "Gone")]


async def test_the_population_is_sampled_by_time_and_by_events() -> None:
    for settings in (LaneSettings(0, 0, 20, 1e6), LaneSettings(2.0, 0, 0, 1e6)):
        world = World(settings=settings)
        async with running(world) as lane:
            await lane.put(a_chunk(a_record(0), a_record(1, "bob")), None)
            await eventually(lambda w=world: w.samples)  # type: ignore[misc]

        assert world.samples[0].population == 2


def test_samples_are_a_share_of_the_events_or_a_number_a_day_whichever_is_more() -> None:
    rates = LaneSettings(sample_share=0.1, sample_daily=50, sample_floor=0, rescore_per_second=0)

    assert rates.samples(1000, DAY_MS, 2 * DAY_MS) == 100
    assert rates.samples(10, DAY_MS, 3 * DAY_MS) == 100
    assert rates.samples(10, 0, 9000 * DAY_MS) == 1


@pytest.mark.parametrize(("backlog", "seconds"), [(False, 1), (True, 4)])
def test_the_walk_after_a_new_model_takes_four_times_as_long_while_there_is_a_backlog(
    *, backlog: bool, seconds: int
) -> None:
    walk = Walk(100, 240)
    walk.start(2, 10)

    portions = [walk.due(0.1, 10, backlog=backlog) is not None for _ in range(40)]

    assert sum(portions) == 40 // seconds


def test_a_walk_over_many_customers_takes_the_time_it_is_given_and_over_few_less() -> None:
    def seconds(population: int) -> float:
        walk, walked, steps = Walk(250, 240), 0, 0
        walk.start(2, population)
        while walked < population:
            walked += 100 * (walk.due(0.1, 100) is not None)
            steps += 1
        return steps / 10

    assert seconds(240_000) == pytest.approx(240, rel=0.01)
    assert seconds(5_000) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize(("per_second", "last"), [(400, LEAST_CUSTOMERS), (4000, MOST_CUSTOMERS)])
def test_a_walk_that_falls_behind_takes_larger_portions(per_second: int, last: int) -> None:
    walk, portions = Walk(per_second, 240), []
    walk.start(2, 10_000)
    for _ in range(20):
        portions.append(walk.portion(LEAST_CUSTOMERS))
        walk.due(0.1, portions[-1])

    assert portions[0] == LEAST_CUSTOMERS
    assert portions == sorted(portions)
    assert portions[-1] == last


async def test_a_walk_that_is_behind_its_pace_goes_on_at_once() -> None:
    rates = LaneSettings(0, 0, 0, 2 * LEAST_CUSTOMERS)
    world = World(settings=rates)
    lane, duties = world.lane(), Duties(a_pipeline(world.store), world.publish_sample, rates, 0)
    async with running(world) as owner:
        await owner.put(a_chunk(*[a_record(i, f"c{i}") for i in range(300)]), None)
        await eventually(lambda: at(owner) == 300)
    await lane.claim()
    pressing = []
    for wall in (1000, 1050, 1100):
        await duties.rescore(lane.session, wall)
        pressing.append(duties.pressing)
        await duties.lapse(lane.session, wall)

    assert pressing == [True, False, False]


async def test_half_a_chunk_of_records_in_hand_and_waiting_is_a_backlog() -> None:
    world = World(settings=LaneSettings(0, 0, 0, 100, chunk_records=10))
    lane = world.lane()
    await lane.claim()
    duties = Duties(a_pipeline(world.store), world.publish_sample, world.settings, 0)
    paces = []
    for records, waiting in ((10, 0), (2, 0), (2, 3), (2, 2), (10, 0)):
        duties.chunk(records, 0, 0, waiting=waiting)
        paces.append(duties.has_backlog)
        await duties.rescore(lane.session, 1000)

    assert paces == [True, False, True, False, True]


async def test_while_another_lane_judges_without_records_a_lane_only_takes_records() -> None:
    world = World()
    world.open.clear()
    async with running(world) as lane:
        silent = [a_record(i, f"c{i}") for i in range(300)]
        await lane.put(a_chunk(*silent, a_record(300, "bob", at=1000)), None)
        await eventually(lambda: lane.session.batches == 2)
        async with world.background:
            world.open.set()
            await lane.put(a_chunk(a_record(301, "eve", at=1000)), None)
            await eventually(lambda: at(lane) == 302)
            began = world.wall
            await asyncio.sleep(0.3)
            looks = (world.wall - began) / world.tick
        written = lane.session.batches
        await eventually(lambda: len(world.published) == 3 * 300 + 2)

    assert written == 3
    assert looks < 150
