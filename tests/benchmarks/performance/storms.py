"""Latency while everything else wants to be done at once: lapses, and a new model.

The trainer is stopped, so that nothing but what is measured changes the model. The population is
put into the store while no worker runs.
"""

import time
from dataclasses import dataclass, replace

from stream_app.config import ClockMode
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.population import Maker, Walked, put, rename, snapshot_of
from tests.benchmarks.performance.resources import restart
from tests.benchmarks.performance.results import Findings, Row, percentile
from tests.benchmarks.performance.stage import until
from tests.benchmarks.performance.traffic import (
    FIFTH,
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


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes, and seconds: of each part, of a walk over everybody, for the start of a worker.

    ``calm``: between the lapses and what is normal after them.
    """

    lapsing: int
    others: int
    warm: float
    normal: float
    walk: float
    calm: float = 5.0
    start: float = 15.0

    @property
    def lapse_at(self) -> float:
        """When silence moves the cohort."""
        return self.warm + self.normal + 1

    @property
    def seconds(self) -> float:
        """How long there is to be traffic."""
        return self.lapse_at + self.calm + self.normal + 2 * self.walk + 60


def plan_of(bench: Bench, per_second: float) -> Plan:
    """Plan the run: a worker that starts first looks at everybody, which the warm-up covers.

    ``per_second``: the pace of that, which is that of a shop of a million whatever the size here.
    """
    if bench.smoke:
        return Plan(500, 1_500, 3.0, 3.0, 5.0, 1.0, 5.0)
    lapsing, everybody = 50_000, MILLION if bench.full else 100_000
    walk = everybody / per_second
    return Plan(lapsing, everybody - lapsing, 1.5 * walk + 10, 20.0, walk)


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
        instant = round(1000 * (began + plan.lapse_at) + lead_ms(bench, plan.seconds))
        put(settings, maker.cohort([f"silent-{n}" for n in range(plan.lapsing)], instant))
        restart(ours, rescore_seconds=(plan.lapsing + plan.others) / pace)
        with traffic(bench, ours, plan.seconds, bench.seed + 1, share=FIFTH) as run:
            return _storms(bench, ours, plan, run, instant)


def _storms(bench: Bench, ours: Runtime, plan: Plan, run: Traffic, instant: int) -> Findings:
    """Compare both storms with what is normal just before each."""
    found = _lapses(bench, ours, plan, run, instant)
    found += _rescored(bench, ours, plan, run)
    return found


def _normal(plan: Plan, run: Traffic, until_s: float) -> list[float]:
    """Ages of the changes of a while that ends so many seconds after the beginning."""
    run.heard_until(until_s)
    return run.ages(until_s - plan.normal, until_s)


def _lapses(bench: Bench, ours: Runtime, plan: Plan, run: Traffic, instant: int) -> Findings:
    """Silence moves the cohort at ``instant`` (ms)."""
    lapse_at, worker = (instant - run.began) / 1000, ours.system.workers[0]
    normal = _normal(plan, run, lapse_at - 1)

    def lapsed() -> list[Heard]:
        return [h for h in run.ear.heard() if h.reason == "lapse" and h.published == instant]

    until(lambda: len(lapsed()) >= plan.lapsing, "everybody has lapsed", worker, every=LOOK_S)
    took = (lapsed()[-1].received - instant) / 1000
    end = lapse_at + max(took, 1.0)
    run.heard_until(end + 1)
    what = f"{plan.lapsing:,} lapse at one instant"
    during = run.ages(lapse_at, end)
    found = _compared(bench, "latency: p99 during lapses", what, normal, during)
    found.rows.append(Row.of("lapses: until all are readable", what, bench.broker, "s", [took]))
    return found


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
    found = _compared(bench, "latency: p99 during re-scoring", what, normal, during)
    note = "" if people >= MILLION else f"extrapolated from {people:,}"
    name, what, seconds = (
        "re-scoring by a new model",
        "1,000,000 customers",
        took * MILLION / people,
    )
    row = Row.of(name, what, bench.broker, "s", [seconds], bar=FIVE_MINUTES, note=note)
    found.rows.append(row)
    return found


def _compared(
    bench: Bench, name: str, what: str, normal: list[float], during: list[float]
) -> Findings:
    """Compare with the normal traffic just before."""
    usual, value = percentile(normal, 0.99), percentile(during, 0.99)
    note = f"normal: {usual:.0f} ms; {len(during):,} changes"
    ratios = [value / usual]
    row = Row.of(name, what, bench.broker, "ms", [value], ratios=ratios, bar=TWICE, note=note)
    return Findings([row])
