"""One soak: load, faults on schedule, calm, oracle."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import redis

from tests.harness import until
from tests.soak.crew import Crew
from tests.soak.faults import faults_for
from tests.soak.history import Terms
from tests.soak.load import Load
from tests.soak.oracle import Verdict, judge
from tests.soak.reading import Evidence, read_store, read_topic
from tests.soak.scene import Fault, Scene
from tests.soak.schedule import Step, schedule
from tests.soak.stage import Stage, stage

WORKERS, TRAINERS = 2, 2
RECOVERY_S = 30.0
CALM_S = 60.0
POLL_S = 0.5
FIRST_SAID = 20
FUTURE = 4_000_000_000_000  # ms: the load's good events are long before, its future ones after


@dataclass(frozen=True)
class Plan:
    """What was asked for; ``rate`` in events a second. Without ``only`` every fault comes."""

    broker: str
    minutes: float
    seed: int
    rate: float
    only: Sequence[str] = ()


@dataclass
class Result:
    """``recoveries``: seconds until the lag was gone, by fault; ``failures``: in words."""

    plan: Plan
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    rollbacks: int = 0
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing at all was wrong."""
        return not self.failures and not self.verdict.problems


async def soak(plan: Plan, say: Callable[[str], None]) -> Result:
    """Run it; ``say`` is told what happens."""
    began, result = time.monotonic(), Result(plan)
    async with stage(plan.broker) as place:
        crew = Crew(place.settings, say)
        supervisor = asyncio.create_task(crew.supervise())
        load = Load(place.settings, plan.seed, plan.rate, plan.minutes * 60 + CALM_S)
        try:
            for command in ["worker"] * WORKERS + ["trainer"] * TRAINERS:
                crew.add(command)
            await _under_way(place, load)
            await _faults(Scene(place, crew, load, Random()), result, say)
            await asyncio.to_thread(load.stop)
            await _calm(place, crew, result)
        finally:
            supervisor.cancel()
            await crew.stop()
        result.rollbacks = place.rollbacks
        result.exits = {f"{command} {code}": n for (command, code), n in crew.exits.items()}
        say("reading everything from the beginning")
        result.verdict = await asyncio.to_thread(_verdict, place)
    result.seconds = time.monotonic() - began
    return result


async def _under_way(place: Stage, load: Load) -> None:
    """Begin once the workers own the partitions and a model serves, so that customers move."""

    def has_model() -> bool:
        with place.store.client() as client:
            return bool(client.get(f"{place.settings.namespace}:{{models}}:latest"))

    await until(lambda: len(place.watermarks()[0]) > 0, "a worker owns the partitions")
    load.start()
    await until(has_model, "there is a model")


async def _faults(scene: Scene, result: Result, say: Callable[[str], None]) -> None:
    plan = result.plan
    known = faults_for(plan.broker)
    names = [name for name in known if not plan.only or name in plan.only]
    end = time.monotonic() + plan.minutes * 60
    for step in schedule(names, plan.seed):
        await asyncio.sleep(step.pause)
        if time.monotonic() > end:
            return
        scene.rng = Random(f"{plan.seed}/{step.number}")
        say(f"{step.number}: {step}")
        await _one(scene, step, known, result)
        if result.failures:
            say(result.failures[-1])
            say(f"what the processes said is kept in {scene.crew.keep_logs()}")
            return


async def _one(scene: Scene, step: Step, known: dict[str, Fault], result: Result) -> None:
    """Let the faults of a step happen, then take the time until everything is applied."""
    try:
        await known[step.fault](scene)
        if step.second:
            await known[step.second](scene)
        seconds = await recovery(scene.stage)
    except AssertionError as error:
        result.failures.append(f"{step.number}: {step}: {error}")
        return
    name = "a second fault during recovery" if step.second else step.fault
    result.recoveries.setdefault(name, []).append(seconds)


async def recovery(place: Stage) -> float:
    """Seconds until all that was published half a second before is applied; AssertionError."""
    began, ends, unanswered = time.monotonic(), None, 0
    lag: dict[str, int] | None = None
    while (passed := time.monotonic() - began) < RECOVERY_S:
        with suppress(redis.RedisError):
            lag = await asyncio.to_thread(place.behind, ends) if ends else None
            if lag == {}:
                return passed
        ends = await place.try_ends()
        unanswered += ends is None
        await asyncio.sleep(POLL_S)
    raise AssertionError(
        f"still behind after {RECOVERY_S:.0f} s: records per partition {lag}; the broker left "
        f"{unanswered} questions unanswered"
    )


async def _calm(place: Stage, crew: Crew, result: Result) -> None:
    """Wait until nothing more happens: all read, all published, nobody to judge anew."""
    for trainer in crew.of("trainer"):
        await crew.dismiss(trainer)
    ends = await asyncio.to_thread(place.ends)
    try:
        await until(lambda: not place.behind(ends), "the lag is gone")
        await until(_still(place), "the store is still and its outbox empty")
    except AssertionError as error:
        result.failures.append(f"at the end: {error}")


def _still(place: Stage) -> Callable[[], Awaitable[bool]]:
    """Tell whether the watermarks were the same for two seconds, and the outbox is empty."""
    seen: list[object] = [None, 0.0]

    async def still() -> bool:
        marks = await asyncio.to_thread(place.watermarks)
        if seen[0] != marks or place.outbox():
            seen[:] = [marks, time.monotonic()]
        return time.monotonic() - float(str(seen[1])) > 2.0

    return still


def _verdict(place: Stage) -> Verdict:
    s = place.settings
    shelves, model = read_store(place.store.url, s.namespace, s.topic_purchases, s.partitions)
    terms = Terms(
        s.topic_purchases,
        s.topic_profiles,
        s.max_event_bytes,
        s.half_life_days,
        s.rates | {s.base_currency: 1.0},
    )
    evidence = Evidence(
        purchases=read_topic(s.kafka_broker, s.topic_purchases),
        profiles=read_topic(s.kafka_broker, s.topic_profiles),
        changes=read_topic(s.kafka_broker, s.topic_changes),
        letters=read_topic(s.kafka_broker, s.topic_dead_letters),
        shelves=shelves,
        model=model,
    )
    return judge(evidence, terms, FUTURE, rolled_back=place.rollbacks > 0)
