"""Latency while everything else wants to be done at once: lapses, and a new model.

The trainer is stopped, so that nothing but what is measured changes the model. The population is
put into the store while no worker runs.
"""

import time
from dataclasses import dataclass

from stream_app.config import ClockMode
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.population import Maker, Walked, put, rename, snapshot_of
from tests.benchmarks.performance.resources import restart
from tests.benchmarks.performance.results import Curve, Findings, Row, percentile
from tests.benchmarks.performance.stage import until
from tests.benchmarks.performance.traffic import LEAD_MS, Traffic, history, traffic
from tests.benchmarks.quality.results import Bar

TWICE, FIVE_MINUTES = Bar("<=", 2), Bar("<=", 300)
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes, and seconds: of each part, and for the start of a worker."""

    lapsing: int
    others: int
    warm: float
    normal: float
    storm: float = 5.0
    start: float = 15.0

    @property
    def lapse_at(self) -> float:
        """When silence moves the cohort."""
        return self.warm + self.normal + 1


def plan_of(bench: Bench, per_second: float) -> Plan:
    """Plan the run: a worker that starts first looks at everybody, which the warm-up covers."""
    if bench.smoke:
        return Plan(500, 1_500, 3.0, 3.0, 2.0, 5.0)
    lapsing, everybody = 50_000, MILLION if bench.full else 100_000
    return Plan(lapsing, everybody - lapsing, 1.2 * everybody / per_second + 10, 20.0)


def measure(bench: Bench) -> Findings:
    """Traffic throughout: normal, then 50,000 lapses, then a new model."""
    with serving(bench, history(bench, bench.events // 10), clock=ClockMode.WALL) as ours:
        ours.system.stop()
        settings = ours.settings
        plan = plan_of(bench, settings.rescore_per_second * settings.partitions)
        names = [f"stored-{n}" for n in range(plan.others)]
        maker, now = Maker(settings, snapshot_of(settings)), round(time.time() * 1000)
        put(settings, maker.crowd(names, now, bench.seed))
        began = time.time() + plan.start
        instant = round(1000 * (began + plan.lapse_at)) + LEAD_MS
        put(settings, maker.cohort([f"silent-{n}" for n in range(plan.lapsing)], instant))
        restart(ours)
        seconds = 3 * plan.lapse_at + 120
        with traffic(bench, ours, seconds, bench.seed + 1) as run:
            return _storms(bench, ours, plan, run, instant)


def _storms(bench: Bench, ours: Runtime, plan: Plan, run: Traffic, instant: int) -> Findings:
    found, worker = Findings(), ours.system.workers[0]
    names = [f"stored-{n}" for n in range(plan.others)]
    lapse_at = (instant - run.began) / 1000
    run.wait_until(lapse_at)
    normal = run.ages(lapse_at - plan.normal, lapse_at - 1)

    def lapsed() -> int:
        return sum(h.reason == "lapse" and h.published == instant for h in run.heard())

    until(lambda: lapsed() >= plan.lapsing, "everybody has lapsed", worker)
    last = max(h.received for h in run.heard() if h.published == instant)
    run.wait_until(max(last - run.began + 1000, 1000 * (lapse_at + plan.storm)) / 1000)
    during = run.ages(lapse_at, max((last - run.began) / 1000, lapse_at + 1))
    what = f"{plan.lapsing:,} lapse at one instant"
    found += _compared(bench, "latency: p99 during lapses", what, normal, during)
    took = Row.of(
        "lapses: until all are readable", what, bench.broker, "s", [(last - instant) / 1e3]
    )
    found.rows.append(took)
    begun = time.time() * 1000
    version, walked = rename(ours.settings, "Renamed", round(begun)), Walked(ours.settings, names)
    until(lambda: walked.all_by(version), "everybody is judged anew", worker, seconds=600)
    done = time.time() * 1000
    run.wait_until((done - run.began) / 1000 + 1)
    during = run.ages((begun - run.began) / 1000, (done - run.began) / 1000)
    people = ours.store.buyers()
    what = f"{people:,} customers re-scored"
    found += _compared(bench, "latency: p99 during re-scoring", what, normal, during)
    seconds, note = (done - begun) / 1000 * MILLION / people, f"extrapolated from {people:,}"
    note = "" if people >= MILLION else note
    name, what = "re-scoring by a new model", "1,000,000 customers"
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
    return Findings([row], [Curve(what, bench.broker, sorted(during))])
