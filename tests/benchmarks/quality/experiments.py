"""Which observer looks at which history; one job is one experiment with one seed."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

from producers.catalog import open_source
from producers.columns import ColumnMap
from producers.simulate import Simulation
from producers.sources import DAY_MS, Record
from stream_app.bootstrap import limits_of
from stream_app.config import Settings
from stream_app.core.events import decode_purchase
from stream_app.core.folds import Order
from tests.benchmarks.quality import determinism, shops
from tests.benchmarks.quality.baselines import Baselines
from tests.benchmarks.quality.cost import Sizes, TrainerCost
from tests.benchmarks.quality.identity import NONE, Fates, Steady
from tests.benchmarks.quality.inertia import Inertia
from tests.benchmarks.quality.lapses import BruteForce, Lapses, rows_of
from tests.benchmarks.quality.moves import Drivers, Flapping
from tests.benchmarks.quality.personas import Optional, Personas
from tests.benchmarks.quality.recovery import Recovery
from tests.benchmarks.quality.replay import Observer, Replay, Taken
from tests.benchmarks.quality.results import Findings
from tests.benchmarks.quality.silence import PurchasesOnly

QUICK_DAYS = 150.0
FROZEN_DAYS = 45.0


@dataclass(frozen=True, slots=True)
class Job:
    """One experiment with one seed; only observers of the wanted rows look on."""

    experiment: str
    seed: int
    rows: frozenset[str]
    quick: bool

    def run(self) -> Findings:
        """Do it."""
        return EXPERIMENTS[self.experiment].run(self)


@dataclass(frozen=True, slots=True)
class Experiment:
    """``rows`` that it yields, and how."""

    rows: frozenset[str]
    run: Callable[[Job], Findings]


def jobs(seeds: Sequence[int], only: str | None, *, quick: bool) -> Iterator[Job]:
    """List the jobs that yield the wanted rows, the longest experiments first."""
    for name, experiment in EXPERIMENTS.items():
        rows = experiment.rows & ({only} if only else experiment.rows)
        if rows:
            yield from (Job(name, seed, frozenset(rows), quick) for seed in seeds)


Observers = dict[str, Callable[[], Observer]]
MOVES: Observers = {"flapping": Flapping, "drivers": Drivers}
REAL: Observers = {
    "inertia": Inertia,
    "baselines": Baselines,
    "bias": PurchasesOnly,
    "cost": TrainerCost,
}
YEAR: Observers = REAL | MOVES | {"sizes": Sizes}


def _replayed(
    data: str, settings: Settings, records: Iterable[Record], observers: Observers, job: Job
) -> Findings:
    chosen = [make() for row, make in observers.items() if row in job.rows]
    return asyncio.run(Replay(settings, chosen, data).run(records))


def _real(data: str, observers: Observers, job: Job) -> Findings:
    return _replayed(data, Settings(seed=job.seed), _history(data, job), observers, job)


def _history(data: str, job: Job) -> Iterable[Record]:
    source = open_source(data, ColumnMap())
    end = source.facts.first + QUICK_DAYS * DAY_MS
    return takewhile(lambda record: record.at < end, source) if job.quick else source


def _no_margin(data: str, job: Job) -> Findings:
    settings = Settings(seed=job.seed, margin=0.0)
    unbarred: Observers = {"flapping": lambda: Flapping(None)}
    return _replayed(data, settings, _history(data, job), unbarred, job)


def _demo_shop(job: Job) -> Findings:
    shop, data = Simulation(shops.demo(job.seed)), "simulator, demo shop"
    found = _replayed(data, Settings(seed=job.seed), shop, MOVES, job)
    if "flapping" in job.rows:
        settings = Settings(seed=job.seed, margin=0.0)
        found += _replayed(data, settings, shop, {"flapping": lambda: Flapping(None)}, job)
    return found


def _shock(job: Job) -> Findings:
    config = shops.shocked(job.seed)
    at = shops.at(config, shops.SHOCK_DAY)
    observers: Observers = {"abrupt": lambda: Recovery(at)}
    data = "simulator, abrupt change"
    return _replayed(data, Settings(seed=job.seed), Simulation(config), observers, job)


def _personas(job: Job) -> Findings:
    found = Findings()
    for data, config, k in (
        ("simulator, personas apart", shops.apart(job.seed), 4),
        ("simulator, demo shop", shops.demo(job.seed), 6),
    ):
        shop = Simulation(config)
        observers: Observers = {"personas": partial(Personas, shop.truth)}
        found += _replayed(data, Settings(seed=job.seed, k=k), shop, observers, job)
    return found


def _optional(job: Job) -> Findings:
    found = Findings()
    for chosen in ((), ("age", "gender", "interests")):
        shop = Simulation(replace(shops.demo(job.seed), profiles=1.0))
        settings = Settings(seed=job.seed, k=6, optional_features=chosen)
        observers: Observers = {"optional": partial(Optional, shop.truth)}
        found += _replayed("simulator, demo shop", settings, shop, observers, job)
    return found


def _steady(job: Job) -> Findings:
    found = Findings()
    turning, ageing = shops.stationary(job.seed), shops.ageing(job.seed)
    for data, config, records, bar in (
        ("simulator, customers come and go", turning.config, shops.turnover(turning), NONE),
        ("simulator, customers stay", ageing.config, ageing, None),
    ):
        since = shops.at(config, shops.STAY_DAYS)
        observers: Observers = {"steady": partial(Steady, since, bar)}
        found += _replayed(data, Settings(seed=job.seed), records, observers, job)
    return found


def _fates(job: Job) -> Findings:
    found = Findings()
    for kind, change in (("split", shops.SPLIT), ("merged", shops.MERGE), ("died", shops.REMOVE)):
        shop = shops.changed(job.seed, change)
        records = shops.leaving(shop, change) if change.into is None else shop
        since = shops.at(shop.config, change.day)
        expected = {change.persona: kind}
        observers: Observers = {"fates": partial(Fates, expected, since, shop.truth)}
        data = f"simulator, a persona {kind}"
        found += _replayed(data, Settings(seed=job.seed), records, observers, job)
    return found


def _lapses(data: str, job: Job) -> Findings:
    source = Simulation(shops.demo(job.seed)) if data == "simulator" else _history(data, job)
    return asyncio.run(_frozen(data, Settings(seed=job.seed), source))


async def _frozen(data: str, settings: Settings, source: Iterable[Record]) -> Findings:
    """Learn for five months, then let one model serve, and judge by brute force beside it."""
    records = list(source)
    freeze = records[0].at + (QUICK_DAYS - FROZEN_DAYS) * DAY_MS
    end = freeze + FROZEN_DAYS * DAY_MS
    replay = Replay(settings, data=data)
    await replay.run(r for r in records if r.at < freeze)
    replay.learning = False
    await replay.rescore()
    replay.observers = [lapses := Lapses()]
    model = replay.models.current
    brute = BruteForce(deepcopy(replay.states()), model, replay.clock, settings.margin)
    rest = [r for r in records if freeze <= r.at < end]
    await replay.run(rest)
    for record in rest:
        taken = Taken(0, record.customer_id.encode(), record.value, record.at)
        event = decode_purchase(taken, limits_of(settings), record.at)
        if isinstance(event, Order):
            brute.order(event)
    brute.advance(replay.clock)
    return rows_of(lapses.found, brute.found, data, settings.seed)


EXPERIMENTS = {
    "cdnow": Experiment(frozenset(REAL), partial(_real, "cdnow", REAL)),
    "complete-journey": Experiment(frozenset(YEAR), partial(_real, "complete-journey", YEAR)),
    "complete-journey without margin": Experiment(
        frozenset({"flapping"}), partial(_no_margin, "complete-journey")
    ),
    "shock": Experiment(frozenset({"abrupt"}), _shock),
    "demo shop": Experiment(frozenset(MOVES), _demo_shop),
    "personas": Experiment(frozenset({"personas"}), _personas),
    "optional": Experiment(frozenset({"optional"}), _optional),
    "stationary": Experiment(frozenset({"steady"}), _steady),
    "fates": Experiment(frozenset({"fates"}), _fates),
    "lapses": Experiment(frozenset({"lapses"}), partial(_lapses, "complete-journey")),
    "lapses, simulator": Experiment(frozenset({"lapses"}), partial(_lapses, "simulator")),
    "determinism": Experiment(
        frozenset({"determinism"}), lambda job: determinism.measure(job.seed)
    ),
}
