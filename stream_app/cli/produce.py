"""Commands that publish: replay a purchase history, or simulate a shop."""

from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from producers.catalog import DEFAULT_DATA, open_sources
from producers.checkout import CheckoutPublisher
from producers.columns import ColumnMap
from producers.jsonl import JsonLines
from producers.position import load_position
from producers.preview import examples, mapping, summary
from producers.replay import ReplayOptions
from producers.scramble import Scrambled
from producers.simulate import ShopConfig, Simulation
from producers.sources import Kind, SourceError, iso
from producers.terminal import conclude, explained, run, say
from stream_app.cli.columns import with_columns
from stream_app.config import ConfigError, Settings, load

CONNECT_MS = 10_000
DEFAULT_START = datetime(2024, 1, 1, tzinfo=UTC)

Speed = Annotated[
    str,
    typer.Option(metavar="max|N", help="As fast as possible, or N times as fast as it happened"),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after so many records")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on after the last run")]
Position = Annotated[Path, typer.Option(help="File that remembers how far it came")]
Preview = Annotated[
    bool, typer.Option("--dry-run", help="Show what was understood; publish nothing")
]
Customers = Annotated[int, typer.Option(min=1, help="Customers who join")]
Days = Annotated[float, typer.Option(min=1, help="Days to simulate")]
Start = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same events")]
Scramble = Annotated[
    bool, typer.Option("--scramble", help="Add duplicates, late and malformed records")
]
Out = Annotated[
    Path | None, typer.Option(metavar="FILE.jsonl", help="Write here instead of publishing")
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|FILE",
        help="complete-journey (default), cdnow, or a CSV, TSV or Parquet file; "
        "several are merged by time",
    ),
]


@with_columns
def replay(
    *,
    data: Data = None,
    speed: Speed = "max",
    limit: Limit = None,
    resume: Resume = False,
    position: Position = Path("replay-position.json"),
    dry_run: Preview = False,
    columns: ColumnMap,
) -> None:
    """Publish a purchase history, in time order, as if it happened now.

    A file's columns are recognised by name; name those that are not. Examples:

        segmenter replay --data cdnow --speed max

        segmenter replay --data sales.csv --dry-run

        segmenter replay --data sales.csv --customer-column Client --date-format %d/%m/%Y --resume
    """
    with explained():
        factor, settings = _factor(speed), None if dry_run else _settings()
        source = open_sources(data or [DEFAULT_DATA], columns)
        say(summary(source.facts))
        if settings is None:
            say([*mapping(source), "first events:", *examples(source)])
            return
        found = load_position(position, source.facts) if resume else None
        if found:
            say([f"going on after record {found.done:,}, {iso(found.at)}"])
        options = ReplayOptions(
            topics=_topics(settings),
            speed=factor,
            start=found.done if found else 0,
            limit=limit,
            position=position,
        )
        with _publisher(settings) as publisher:
            totals = run(source, publisher, options)
        conclude(totals, ": --resume goes on from there")


def simulate(  # noqa: PLR0913
    *,
    customers: Customers = 2_000,
    days: Days = 365.0,
    start: Start = DEFAULT_START,
    seed: Seed = 42,
    speed: Speed = "max",
    limit: Limit = None,
    scramble: Scramble = False,
    out: Out = None,
) -> None:
    """Publish the purchases of an invented shop, whose customers' habits are known.

    Weekly regulars, monthly big baskets, bargain hunters, one-timers, lapsing and seasonal
    customers; some refunds and profiles. Examples:

        segmenter simulate --customers 500 --days 90

        segmenter simulate --speed 86400 --scramble

        segmenter simulate --seed 7 --out purchases.jsonl
    """
    with explained():
        _refuse_future(start, days)
        first = int(start.replace(tzinfo=UTC).timestamp()) * 1000
        shop = Simulation(ShopConfig(seed=seed, customers=customers, days=days, start=first))
        source = Scrambled(shop) if scramble else shop
        if out:
            options = ReplayOptions(speed=_factor(speed), limit=limit)
            with JsonLines(out) as file:
                totals = run(source, file, options)
        else:
            settings = _settings()
            options = ReplayOptions(topics=_topics(settings), speed=_factor(speed), limit=limit)
            with _publisher(settings) as publisher:
                totals = run(source, publisher, options)
        if isinstance(source, Scrambled):
            say(f"  injected {count:,} {kind}" for kind, count in source.injected.most_common())
        conclude(totals, "")


def _factor(speed: str) -> float | None:
    if speed == "max":
        return None
    try:
        factor = float(speed)
    except ValueError:
        factor = -1.0
    if not 0 < factor < inf:
        raise SourceError(f"--speed {speed!r} is neither max nor a number above 0")
    return factor


def _refuse_future(start: datetime, days: float) -> None:
    end = start.replace(tzinfo=UTC) + timedelta(days=days)
    if end > datetime.now(UTC):
        raise SourceError(f"it would end on {end:%Y-%m-%d}, in the future: set an earlier --start")


def _settings() -> Settings:
    settings = load()
    if not settings.kafka_broker:
        raise ConfigError("KAFKA_BROKER is not set: give the address of a broker, host:port")
    return settings


def _topics(settings: Settings) -> dict[Kind, str]:
    return {"purchase": settings.topic_purchases, "profile": settings.topic_profiles}


def _publisher(settings: Settings) -> CheckoutPublisher:
    return CheckoutPublisher(
        settings.kafka_broker,
        topic_purchases=settings.topic_purchases,
        topic_profiles=settings.topic_profiles,
        idempotence=settings.idempotence,
        bootstrap_timeout_ms=CONNECT_MS,
    )
