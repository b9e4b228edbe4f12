"""Measure speed, latency and cost: ``make bench ARGS="--only latency"``."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from stream_app.adapters.embedded import MissingServiceError, ServiceError
from stream_app.config import ConfigError, Settings, load
from stream_app.demo.system import services
from tests.benchmarks.performance import latency, memory, resources, storms, throughput
from tests.benchmarks.performance.contenders import Bench, WrongCountError
from tests.benchmarks.performance.report import value, write
from tests.benchmarks.performance.results import EMBEDDED, KAFKA, Findings, Row
from tests.kafka.cluster import Cluster
from tests.kafka.libraries import KafkaUnavailableError, libraries

DOCS = Path(__file__).parents[3] / "docs"
EXPERIMENTS: dict[str, Callable[[Bench], Findings]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "storms": storms.measure,
    "resources": resources.measure,
    "memory": memory.measure,
}
EXPECTED = (ConfigError, KafkaUnavailableError, MissingServiceError, ServiceError, WrongCountError)
SMOKE = ("throughput", "storms", "memory")
USUAL = ("throughput", "latency", "resources")  # eight minutes; storms take three to ten more
SMOKE_EVENTS, SMOKE_CUSTOMERS = 20_000, 2_000


def main() -> None:
    """Run what is asked for; a failure that a person can mend is one sentence."""
    try:
        run(_options())
    except EXPECTED as error:
        sys.exit(f"make bench: {error}")


def run(options: argparse.Namespace) -> None:
    """Measure, show, and write if a folder is given."""
    console, began = Console(width=150), time.perf_counter()
    found = Findings()
    with base_settings(options.broker) as base:
        bench = _bench(options, base)
        for name in SMOKE if options.smoke else options.only:
            console.print(f"{name}, {bench.broker} broker ...")
            found += EXPERIMENTS[name](bench)
            if options.out:  # at once: a later experiment may fail
                write(found, options.out)
    console.print(shown_table(found.rows))
    if options.out:
        console.print(f"written: {options.out}/performance.md and performance.json")
    console.print(f"{time.perf_counter() - began:.0f} s")


def _bench(options: argparse.Namespace, base: Settings) -> Bench:
    if options.smoke:
        return Bench(base, SMOKE_EVENTS, SMOKE_CUSTOMERS, 1, options.seed, smoke=True)
    sizes = (options.events, options.customers, options.repetitions)
    return Bench(base, *sizes, options.seed, full=options.full)


@contextmanager
def base_settings(broker: str) -> Iterator[Settings]:
    """Run a broker and a store; yield settings that name them.

    KAFKA_BROKER and REDIS_URL are used where they are set.
    """
    if broker == EMBEDDED:
        with services(load()) as settings:
            yield _empty(settings)
        return
    with Cluster(1, libraries()) as cluster, services(load(kafka_broker=cluster.address)) as found:
        own = {"rebalance_timeout": 2.0, "session_timeout": 6.0, "idempotence": True}
        yield _empty(found.model_copy(update=own))


def _empty(settings: Settings) -> Settings:
    """Refuse a store that holds something: the benchmark removes everything again and again."""
    with redis.Redis.from_url(settings.redis_url) as client:
        if client.dbsize():
            raise ConfigError("REDIS_URL: the store is not empty, and the benchmark would empty it")
    return settings


def shown_table(rows: list[Row]) -> Table:
    """Rows for the terminal."""
    table = Table("what", "workload", "value", "ratio", "bar", "met")
    marks = {True: "yes", False: "[bold red]no", None: ""}
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        bar = str(row.bar) if row.bar else ""
        table.add_row(row.name, row.workload, value(row), ratio, bar, marks[row.met])
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Examples, each in ARGS="...":\n'
        "  --only throughput --repetitions 5    the rates alone, five times each\n"
        "  --only storms    50,000 lapses at once, a new model; three minutes, ten on Kafka\n"
        "  --events 1000000 --customers 100000 --full    the full sizes; takes much longer\n"
        "  --only memory --events 5000000 --customers 100000    20 minutes of steady work\n"
        "  --broker kafka --out docs            on Apache Kafka (Java 17, Maven); adds its rows\n"
        "KAFKA_BROKER and REDIS_URL are used where they are set; the store must be empty.",
    )
    names = ",".join(EXPERIMENTS)
    parser.add_argument(
        "--only",
        type=_names,
        default=list(USUAL),
        metavar="NAME,...",
        help=f"of {names}; {', '.join(USUAL)} unless given",
    )
    parser.add_argument(
        "--events",
        type=int,
        default=50_000,
        help="timed events of our worker, twice as many in resources (%(default)s)",
    )
    parser.add_argument(
        "--customers", type=int, default=20_000, help="of the invented shop (%(default)s)"
    )
    parser.add_argument("--repetitions", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the events (%(default)s)")
    parser.add_argument("--broker", choices=(EMBEDDED, KAFKA), default=EMBEDDED)
    parser.add_argument("--full", action="store_true", help="the largest populations, long waits")
    parser.add_argument("--smoke", action="store_true", help="20,000 events; only that it works")
    parser.add_argument("--out", type=Path, help="merge the rows into the report in this folder")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(EXPERIMENTS)):
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}"
        )
    return names


if __name__ == "__main__":
    main()
