"""From checkout to a readable segment change: in steady traffic, and after a quiet minute."""

import time
from dataclasses import replace
from typing import Any

from stream_app.config import ClockMode
from stream_app.demo.system import Child
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.loads import producer_of, shop
from tests.benchmarks.performance.population import Maker, put, snapshot_of
from tests.benchmarks.performance.resources import UNWALKED, restart
from tests.benchmarks.performance.results import EMBEDDED, KAFKA, Curve, Findings, Row, percentile
from tests.benchmarks.performance.stage import pause, until
from tests.benchmarks.performance.traffic import WAIT_MS, history, listening, traffic
from tests.benchmarks.quality.results import Bar

P50_BAR, P99_BAR, IDLE_BAR = Bar("<=", 10), Bar("<=", 50), Bar("<=", 100)
STRANGER = 1_000_000_000
CUSTOMERS = 1_000_000
WALK_S = 10.0
WALKING, STILL_S = "zscan", 1.0
UNMOVED = {"moved": 1e-9}
SLOW_RATE, SLOW_TAIL_S = 100, 5.0
PUBLISHED_RATE = 75  # events/s, of the best figures that a comparable system has published
RATES = {KAFKA: (PUBLISHED_RATE, 1_000, 5_000), EMBEDDED: (PUBLISHED_RATE, 500)}
LOOK_MS = 25  # a fetch of the embedded broker ends with the wait, whatever it has found by then
OVERLOAD, OVERLOAD_LOOK_MS = 5_000, 100


def measure(bench: Bench) -> Findings:
    """Warm up, measure at several rates, fall silent, and send one purchase.

    The shop is an established one of a million customers, each of whom still buys every few minutes
    at such rates. So everybody becomes another customer within minutes, and one model follows the
    other; what their walks do to the latency is another experiment. Here the trainer learns, but no
    model may move anybody. After the greatest rate the broker alone is measured, without a worker:
    how old a purchase is when any consumer has it.
    """
    found = Findings()
    bench = replace(bench, customers=bench.customers if bench.smoke else CUSTOMERS)
    load = history(bench, bench.events // 5)
    values: dict[str, Any] = {"rescore_seconds": WALK_S, "drift": UNMOVED}
    with serving(bench, load, clock=ClockMode.WALL, **values) as ours:
        _establish(bench, ours)
        for per_second in RATES[bench.broker]:
            found += _steady(bench, ours, per_second)
        found.rows.append(_idle(bench, ours))
        found += _alone(bench, ours, RATES[bench.broker][-1], LOOK_MS)
        if bench.broker == EMBEDDED:
            found += _overload(bench, ours)
    return found


def _overload(bench: Bench, ours: Runtime) -> Findings:
    """Measure the embedded broker at a rate that is too much for it, with a new worker.

    It keeps every batch as an object of its own and looks at all of them at each fetch. So it is
    slow ever after.
    """
    ours.system.trainer = Child("trainer", ours.settings)
    restart(ours, **UNWALKED)
    found = _steady(bench, ours, OVERLOAD, OVERLOAD_LOOK_MS)
    found += _alone(bench, ours, OVERLOAD, OVERLOAD_LOOK_MS)
    return found


def _alone(bench: Bench, ours: Runtime, per_second: int, wait: int) -> Findings:
    """Measure the broker without our processes."""
    ours.system.stop()
    ours.system.workers.clear()
    return _steady(bench, ours, per_second, wait)


def _establish(bench: Bench, ours: Runtime) -> None:
    """Give everybody who has not bought yet a history; return when a new worker has seen them all.

    It walks over them once, whoever judged them.
    """
    ours.system.workers[0].stop()
    bought = {customer for customer, _ in ours.load.events}
    names = [name for n in range(bench.customers) if (name := f"c{n}") not in bought]
    snapshot, now = snapshot_of(ours.settings), round(time.time() * 1000)
    put(ours.settings, Maker(ours.settings, snapshot).crowd(names, now, bench.seed))
    looks = [ours.store.calls(WALKING)]
    restart(ours)

    def walked() -> bool:
        looks.append(ours.store.calls(WALKING))
        return looks[0] < looks[-2] == looks[-1]

    until(walked, "everybody is looked at", *ours.system.workers, every=STILL_S)


def _steady(bench: Bench, ours: Runtime, per_second: int, wait: int = WAIT_MS) -> Findings:
    """Publish so many purchases a second; ``wait``: of the listener's fetches (ms)."""
    slow = per_second < SLOW_RATE
    warm, seconds = (2.0, 3.0) if bench.smoke else (5.0, 20.0 if slow else 10.0)
    end = warm + seconds
    what = f"{per_second:,} events/s"
    name = "latency" if ours.system.workers else "latency of the broker alone"
    last = end + (SLOW_TAIL_S if slow else 0.0)  # or the last half second may move nobody
    with traffic(bench, ours, per_second, last, bench.seed + per_second, wait=wait) as run:
        run.heard_until(end)
        ages = run.ages(warm, end)
    workload = f"open loop, {what}, {seconds:.0f} s"
    note = f"{len(ages):,} records; {bench.customers:,} customers"
    found = Findings(curves=[Curve(f"{name}, {what}", bench.broker, sorted(ages))])
    for part, bar in ((0.5, P50_BAR), (0.99, P99_BAR)):
        row = (f"{name}: p{100 * part:.0f}", workload, bench.broker, "ms", [percentile(ages, part)])
        found.rows.append(Row.of(*row, bar=bar if ours.system.workers else None, note=note))
    return found


def _idle(bench: Bench, ours: Runtime) -> Row:
    """Send one purchase of a new customer, who is always placed, after a minute without any."""
    silence, times = 2.0 if bench.smoke else 60.0, 3 if bench.full else 1
    producer = producer_of(ours.settings.kafka_broker, {"linger.ms": 0})
    ages = []
    with listening(ours) as ear:
        for number in range(times):
            pause(silence)
            now = round(time.time() * 1000)
            ((_, value),) = shop("uniform", 1, 1, STRANGER + number, [now])
            key = f"stranger-{number}"
            body = value.replace(b'"customer_id":"c0"', f'"customer_id":"{key}"'.encode())
            producer.produce(ours.settings.topic_purchases, body, key, timestamp=now)
            producer.flush()

            def arrived(now: int = now) -> bool:
                return any(h.reason == "initial" and h.published == now for h in ear.heard())

            until(
                arrived, "the change of a new customer is read", ear.listener, *ours.system.workers
            )
            caused = (h for h in ear.heard() if h.reason == "initial" and h.published == now)
            ages.append(next(caused).age)
    workload = f"after {silence:.0f} s of silence"
    return Row.of("latency: first event", workload, bench.broker, "ms", ages, bar=IDLE_BAR)
