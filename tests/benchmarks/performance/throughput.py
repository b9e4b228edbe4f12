"""How many events a second: ours, the plain worker and the bare loop in turn, several times."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.performance.contenders import Bench, bare, plain, serving
from tests.benchmarks.performance.loads import Load, a_load
from tests.benchmarks.performance.replay import replayed
from tests.benchmarks.performance.results import Findings, Row
from tests.benchmarks.performance.stage import Sample, Speed, speed
from tests.benchmarks.quality.results import Bar

WORKLOADS = ("uniform", "zipf", "journey")
OURS, PLAIN, BARE = "this worker", "plain Faust worker", "bare loop"
TIMES_PLAIN, TIMES_BARE = Bar(">=", 20), Bar(">=", 0.35)
MEMORY_BAR, BYTES_BAR, START_BAR = Bar("<=", 300), Bar("<=", 500), Bar("<=", 5)
REPLAY, REPLAY_BAR = "replay from Parquet ÷ the worker", Bar(">=", 1.5)
MB = 1_000_000
FLAT = Bar("<=", 1.1)


@dataclass(frozen=True, slots=True)
class Turn:
    """One repetition: the speed of each, and what was seen of our worker beside that.

    ``replay``: events a second, with even customers only.
    """

    ours: Speed
    plain: Speed
    bare: Speed
    samples: Sequence[Sample]
    started: float
    bytes_each: float
    replay: float


def measure(bench: Bench) -> Findings:
    """Run every workload; all three contenders in each repetition."""
    found = Findings()
    for number, name in enumerate(WORKLOADS[:1] if bench.smoke else WORKLOADS):
        repetitions = max(1, bench.repetitions - 2 * number)
        load = a_load(name, bench.events, bench.customers, bench.seed)
        turns = [_turn(bench, load) for _ in range(repetitions)]
        count = bench.customers if name != "journey" else len({c for c, _ in load.events})
        workload = f"{name}, {count:,} customers, {load.timed:,} events"
        found.rows += _rows(workload, bench, turns)
        if name == "uniform":
            found.rows += _beside(workload, bench, turns)
    return found


def _turn(bench: Bench, load: Load) -> Turn:
    with serving(bench, load) as ours:
        samples, bytes_each = ours.work_off(), ours.bytes_each()
        ours.system.stop()
        limit = bare(ours)
        simple = plain(ours, bench.plain_events)
        replay = replayed(ours.settings, load) if load.name == "uniform" else 0.0
        started = ours.started
    own = speed(samples, load.timed)
    return Turn(own, simple, limit, samples, started, bytes_each, replay)


def _rows(workload: str, bench: Bench, turns: Sequence[Turn]) -> list[Row]:
    """Rates, CPU, and how our rate compares within each repetition."""
    rows = []
    names = {OURS: "ours", PLAIN: "plain", BARE: "bare"}
    for name, field in names.items():
        speeds: list[Speed] = [getattr(turn, field) for turn in turns]
        rates, costs = [s.rate for s in speeds], [s.cpu_per_million for s in speeds]
        note = f"{bench.plain_events:,} events" if name == PLAIN else ""
        what = (workload, bench.broker)
        rows.append(Row.of(f"throughput: {name}", *what, "events/s", rates, note=note))
        rows.append(Row.of(f"CPU: {name}", *what, "s per million events", costs))
    own = [turn.ours.rate for turn in turns]
    for other, bar in ((PLAIN, TIMES_PLAIN), (BARE, TIMES_BARE)):
        rates = [getattr(turn, names[other]).rate for turn in turns]
        ratios = [mine / its for mine, its in zip(own, rates, strict=True)]
        name = f"throughput: {OURS} ÷ {other}"
        rows.append(Row.of(name, workload, bench.broker, "events/s", own, ratios=ratios, bar=bar))
    return rows


def _beside(workload: str, bench: Bench, turns: Sequence[Turn]) -> list[Row]:
    """Memory, bytes in the store, the start and a replay, seen on the way."""
    what = (workload, bench.broker)
    starts, sizes = [t.started for t in turns], [t.bytes_each for t in turns]
    replays = [t.replay for t in turns]
    times = [t.replay / t.ours.rate for t in turns]
    bar = START_BAR if bench.broker == "kafka" else None
    return [
        *memory_rows(what, [turn.samples for turn in turns]),
        Row.of("bytes in the store per customer", *what, "bytes", sizes, bar=BYTES_BAR),
        Row.of(REPLAY, *what, "events/s", replays, ratios=times, bar=REPLAY_BAR),
        Row.of("start of a worker to its first applied event", *what, "s", starts, bar=bar),
    ]


def memory_rows(what: tuple[str, str], runs: Sequence[Sequence[Sample]]) -> list[Row]:
    """Memory of a worker in each run; ``what``: workload and broker."""
    memory = [max(s.rss for s in samples) / MB for samples in runs]
    growth = [samples[-1].rss / _warm(samples) for samples in runs]
    return [
        Row.of("memory of a worker, most", *what, "MB", memory, bar=MEMORY_BAR),
        Row.of("memory of a worker, end ÷ a fifth of the run", *what, "", growth, bar=FLAT),
    ]


def _warm(samples: Sequence[Sample]) -> int:
    """Memory after a fifth of the run."""
    return next(s.rss for s in samples if s.done >= samples[-1].done / 5)
