"""From checkout to a readable segment change: in steady traffic, and after a quiet minute."""

import time

from stream_app.config import ClockMode
from tests.benchmarks.performance.contenders import Bench, Runtime, serving
from tests.benchmarks.performance.loads import producer_of, shop
from tests.benchmarks.performance.results import Curve, Findings, Row, percentile
from tests.benchmarks.performance.stage import pause, until
from tests.benchmarks.performance.traffic import history, listening, rate, traffic
from tests.benchmarks.quality.results import Bar

P50_BAR, P99_BAR, IDLE_BAR = Bar("<=", 10), Bar("<=", 50), Bar("<=", 100)
STRANGER = 1_000_000_000


def measure(bench: Bench) -> Findings:
    """Warm up, measure, fall silent, and send one purchase.

    The shop is an established one, by default with ten purchases of each customer: in a new one
    most purchases move a customer.
    """
    warm, seconds = (2.0, 3.0) if bench.smoke else (20.0, 30.0)
    found = Findings()
    load = history(bench, bench.events)
    with serving(bench, load, clock=ClockMode.WALL) as ours:
        with traffic(bench, ours, warm + seconds, bench.seed + 1) as run:
            run.heard_until(warm + seconds)
            ages = run.ages(warm, warm + seconds)
        found.curves.append(Curve(f"{rate(bench):,} events/s", bench.broker, sorted(ages)))
        workload = f"open loop, {rate(bench):,} events/s, {seconds:.0f} s"
        note = f"{len(ages):,} changes; {bench.customers:,} customers"
        for share, bar in ((0.5, P50_BAR), (0.99, P99_BAR)):
            name, value = f"latency: p{100 * share:.0f}", percentile(ages, share)
            what = (name, workload, bench.broker)
            found.rows.append(Row.of(*what, "ms", [value], bar=bar, note=note))
        found.rows.append(_idle(bench, ours))
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
