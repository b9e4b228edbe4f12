"""Latency while everything else wants to be done at once: lapses, and a new model.

The trainer is stopped, so that nothing but what is measured changes the model. The population is
put into the store while no worker runs.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from stream_app.config import ClockMode
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.population import Maker, Walked, put, rename, snapshot_of
from tests.benchmarks.performance.resources import restart
from tests.benchmarks.performance.results import KAFKA, Findings, Row, percentile
from tests.benchmarks.performance.stage import until
from tests.benchmarks.performance.traffic import (
    LOOK_S,
    Heard,
    Traffic,
    history,
    lead_ms,
    traffic,
)
from tests.benchmarks.quality.results import Bar

TWICE, FIVE_MINUTES = Bar("<=", 2), Bar("<=", 300)
MILLION = 1_000_000
RESCORE_S = 600.0
BUYING = 100_000  # so many that some still buy for the first time when all is warm
SECONDS_APART = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes, and seconds: of each part, of a walk over everybody, for the start of a worker.

    ``times``: so many cohorts lapse, each at an instant of its own; ``calm``: between the last of
    them and what is normal after them; ``rate``: purchases a second.
    """

    lapsing: int
    others: int
    warm: float
    normal: float
    walk: float
    calm: float = 5.0
    start: float = 15.0
    times: int = 1
    rate: int = 100

    @property
    def stored(self) -> int:
        """How many customers there are before anybody buys."""
        return self.others + self.times * self.lapsing

    @property
    def lapses_at(self) -> list[float]:
        """When silence moves the cohorts."""
        return [self.warm + self.normal + 1 + n * SECONDS_APART for n in range(self.times)]

    @property
    def seconds(self) -> float:
        """How long there is to be traffic."""
        return self.lapses_at[-1] + self.calm + self.normal + 2 * self.walk + SECONDS_APART


def plan_of(bench: Bench, per_second: float) -> Plan:
    """Plan the run: a worker that starts first looks at everybody, which the warm-up covers.

    ``per_second``: the pace of that, which is that of a shop of a million whatever the size here.
    """
    if bench.smoke:
        return Plan(500, 1_500, 3.0, 3.0, 5.0, 1.0, 5.0)
    lapsing = 50_000
    times, rate = (3, 1_000) if bench.broker == KAFKA else (1, 100)  # p99 of few changes is luck
    everybody = MILLION if bench.full else 2 * times * lapsing
    walk = everybody / per_second
    others, warm = everybody - times * lapsing, 1.5 * walk + 10
    return Plan(lapsing, others, warm, 20.0, walk, times=times, rate=rate)


def measure(bench: Bench) -> Findings:
    """Traffic throughout: normal, then 50,000 lapses, then a new model."""
    bench = replace(bench, customers=bench.customers if bench.smoke else BUYING)
    with serving(bench, history(bench, bench.events // 5), clock=ClockMode.WALL) as ours:
        ours.system.stop()
        settings = ours.settings
        pace = MILLION / settings.rescore_seconds
        plan = plan_of(bench, pace)
        names = [f"stored-{n}" for n in range(plan.others)]
        maker, now = Maker(settings, snapshot_of(settings)), round(time.time() * 1000)
        put(settings, maker.crowd(names, now, bench.seed))
        began = time.time() + plan.start
        lead = 1000 * began + lead_ms(plan.rate, plan.seconds)
        instants = [round(lead + 1000 * at) for at in plan.lapses_at]
        for k, instant in enumerate(instants):
            silent = [f"silent-{k}-{n}" for n in range(plan.lapsing)]
            put(settings, maker.cohort(silent, instant))
        restart(ours, rescore_seconds=plan.walk)
        with traffic(bench, ours, plan.rate, plan.seconds, bench.seed + 1) as run:
            return _storms(bench, ours, plan, run, instants)


def _storms(
    bench: Bench, ours: Runtime, plan: Plan, run: Traffic, instants: Sequence[int]
) -> Findings:
    """Compare the storms with what is normal just before each."""
    what = f"{plan.lapsing:,} of {plan.stored:,} lapse at one instant"
    storms = [_lapses(ours, plan, run, instant) for instant in instants]
    found = _compared(bench, "latency: p99 during lapses", what, storms)
    took = [storm.seconds for storm in storms]
    found.rows.append(Row.of("lapses: until all are readable", what, bench.broker, "s", took))
    found += _rescored(bench, ours, plan, run)
    return found


class Storm(NamedTuple):
    """Ages (ms) of the changes before and during a storm of so many seconds."""

    normal: list[float]
    during: list[float]
    seconds: float


def _normal(plan: Plan, run: Traffic, until_s: float) -> list[float]:
    """Ages of the changes of a while that ends so many seconds after the beginning."""
    run.heard_until(until_s)
    return run.ages(until_s - plan.normal, until_s)


def _lapses(ours: Runtime, plan: Plan, run: Traffic, instant: int) -> Storm:
    """Silence moves a cohort at ``instant`` (ms)."""
    lapse_at, worker = (instant - run.began) / 1000, ours.system.workers[0]
    normal = _normal(plan, run, lapse_at - 1)

    def lapsed() -> list[Heard]:
        return [h for h in run.ear.heard() if h.reason == "lapse" and h.published == instant]

    until(lambda: len(lapsed()) >= plan.lapsing, "everybody has lapsed", worker, every=LOOK_S)
    took = (lapsed()[-1].received - instant) / 1000
    end = lapse_at + max(took, 1.0)
    run.heard_until(end + 1)
    return Storm(normal, run.ages(lapse_at, end), took)


def _rescored(bench: Bench, ours: Runtime, plan: Plan, run: Traffic) -> Findings:
    """A new model judges everybody anew, at the default pace."""
    walked = Walked(ours.settings, [f"stored-{n}" for n in range(plan.others)])
    calm = time.time() - run.began / 1000 + plan.calm
    normal = _normal(plan, run, calm + plan.normal)
    worker, begun = ours.system.workers[0], time.time()
    version = rename(ours.settings, "Renamed", round(1000 * begun))
    pace = {"seconds": RESCORE_S, "every": LOOK_S}
    until(lambda: walked.all_by(version), "everybody is judged anew", worker, **pace)
    took, start = time.time() - begun, begun - run.began / 1000
    run.heard_until(start + took + 1)
    people, during = ours.store.buyers(), run.ages(start, start + took)
    what = f"{people:,} customers re-scored"
    found = _compared(bench, "latency: p99 during re-scoring", what, [Storm(normal, during, took)])
    note = "" if people >= MILLION else f"extrapolated from {people:,}"
    name, what, seconds = (
        "re-scoring by a new model",
        "1,000,000 customers",
        took * MILLION / people,
    )
    row = Row.of(name, what, bench.broker, "s", [seconds], bar=FIVE_MINUTES, note=note)
    found.rows.append(row)
    return found


def _compared(bench: Bench, name: str, what: str, storms: Sequence[Storm]) -> Findings:
    """Compare each with the normal traffic just before."""
    usual = [percentile(storm.normal, 0.99) for storm in storms]
    values = [percentile(storm.during, 0.99) for storm in storms]
    ratios = [value / normal for value, normal in zip(values, usual, strict=True)]
    normal, each = " ".join(f"{ms:.0f}" for ms in usual), " ".join(f"{r:.2f}" for r in ratios)
    changes = sum(len(storm.during) for storm in storms)
    note = f"normal: {normal} ms; {changes:,} changes"
    note += f"; each: {each}" if len(storms) > 1 else ""
    row = Row.of(name, what, bench.broker, "ms", values, ratios=ratios, bar=TWICE, note=note)
    return Findings([row])
