"""``segmenter segments``, ``customer`` and ``changes``: questions to a running system."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from rich.console import Console
from rich.table import Table

from stream_app import interrupt
from stream_app.adapters import kafka_batches  # noqa: F401 - any header name can be read
from stream_app.adapters.clock import wall_ms
from stream_app.adapters.kafka_topics import partitions_of
from stream_app.adapters.queries import Card, Overview, Queries
from stream_app.bootstrap import features_of, store_of
from stream_app.cli.options import Json
from stream_app.config import ClockMode, ConfigError, Settings, load
from stream_app.contracts import ModelSnapshot, SegmentChanged
from stream_app.core.events import to_datetime
from stream_app.core.folds import DAY_MS, MICROS
from stream_app.ports import StoreUnavailableError
from stream_app.words import days, describe, number, phrase

EXIT_UNKNOWN = 1
FETCH_MS = 300
SHOWN_FEATURES = (
    "recency_days",
    "decayed_orders",
    "decayed_spend",
    "average_basket",
    "mean_gap_days",
)

Answer = TypeVar("Answer")
console = Console(highlight=False)


def _ask(settings: Settings, question: Callable[[Queries], Awaitable[Answer]]) -> Answer:
    """Connect, ask one question, disconnect; ConfigError if the store does not answer."""

    async def ask() -> Answer:
        store = store_of(settings)
        queries = Queries(store, settings.partitions, features_of(settings), settings.margin)
        try:
            await store.follow()
            return await question(queries)
        except StoreUnavailableError as error:
            raise ConfigError(f"REDIS_URL: the store does not answer: {error}") from None
        finally:
            await store.close()

    return asyncio.run(ask())


def segments(*, as_json: Json = False) -> None:
    """Show the segments: how many customers, and what is typical of them.

    Sizes are exact; profiles are medians of the trainer's sample.
    """

    async def question(queries: Queries) -> tuple[Overview, ModelSnapshot | None]:
        return await queries.overview(), await queries.model()

    overview, model = _ask(load(), question)
    if as_json:
        found = model.model_dump(mode="json")["segments"] if model else []
        rows = [row | {"customers": overview.sizes.get(row["id"], 0)} for row in found]
        typer.echo(json.dumps({"model": model.version if model else None, "segments": rows}))
        return
    if model is None:
        console.print(
            "No segments yet: the trainer is warming up. It waits for enough customers and days of "
            "history (SEGMENTER_WARMUP_CUSTOMERS, SEGMENTER_WARMUP_DAYS)."
        )
        return
    console.print(_segment_table(overview, model))
    console.print(f"model {model.version}, {sum(overview.sizes.values()):,} customers")


def _segment_table(overview: Overview, model: ModelSnapshot) -> Table:
    table = Table("id", "segment", "customers", *[n.replace("_", " ") for n in SHOWN_FEATURES])
    for segment in sorted(model.segments, key=lambda s: -overview.sizes.get(s.id, 0)):
        size = f"{overview.sizes.get(segment.id, 0):,}"
        values = [number(name, segment.profile[name]) for name in SHOWN_FEATURES]
        table.add_row(str(segment.id), segment.name, size, *values)
    return table


def customer(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer_id of the events")],
    *,
    as_json: Json = False,
) -> None:
    """Show one customer: segment, habits, and what silence will do.

    Exit code 1 if no event of this customer was ever counted.
    """
    settings = load()
    now = wall_ms() if settings.clock is ClockMode.WALL else None
    card = _ask(settings, lambda queries: queries.card(customer_id, now))
    if card is None:
        typer.echo(f"no customer {customer_id!r} is known", err=True)
        raise typer.Exit(EXIT_UNKNOWN)
    if as_json:
        typer.echo(json.dumps(_card_json(card)))
        return
    for line in _card_lines(card):
        console.print(line, soft_wrap=True)


def _card_json(card: Card) -> dict[str, object]:
    state = card.state
    following = card.next_change
    return {
        "customer_id": card.customer_id,
        "segment": {"id": state.segment, "name": state.segment_name} if state.segment else None,
        "since": to_datetime(state.entered).isoformat() if state.entered else None,
        "orders": state.orders,
        "spend": state.spend / MICROS,
        "first_purchase": to_datetime(state.first).isoformat() if state.orders else None,
        "last_purchase": to_datetime(state.last).isoformat() if state.orders else None,
        "features": card.vector,
        "categories": {name: cents / 100 for name, cents in state.categories.items()},
        "channels": state.channels,
        "next_change": following.model_dump(mode="json") if following else None,
    }


def _card_lines(card: Card) -> list[str]:
    state = card.state
    name = state.segment_name or "no segment yet"
    since = f" since {to_datetime(state.entered):%d %b %Y}" if state.entered else ""
    lines = [f"[bold]{card.customer_id}[/bold]: [bold]{name}[/bold]{since}"]
    if state.orders:
        lines.append(
            f"{state.orders:,} orders, {state.spend / MICROS:,.2f} spent, "
            f"from {to_datetime(state.first):%d %b %Y} to {to_datetime(state.last):%d %b %Y}"
        )
    lines += [f"  {phrase(feature, value)}" for feature, value in card.vector.items()]
    if state.categories:
        top = sorted(state.categories, key=lambda c: -state.categories[c])[:3]
        lines.append(f"buys mostly {', '.join(top)}")
    following = card.next_change
    if following:
        recency = card.vector["recency_days"]
        left = (following.at - to_datetime(state.last)).total_seconds() * 1000 / DAY_MS - recency
        name, wait = following.segment.name, days(max(0.0, left))
        lines.append(f"moves to [bold]{name}[/bold] in {wait} unless they buy")
    return lines


def changes(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come")] = False,
    last: Annotated[int, typer.Option(min=0, help="Begin with so many of the latest")] = 20,
    as_json: Json = False,
) -> None:
    """Print segment changes in plain words, oldest first.

    Examples:
        segmenter changes --last 50

        segmenter changes --follow --json | jq 'select(.reason == "lapse")'

    """
    settings = load()
    if not settings.kafka_broker:
        raise ConfigError("KAFKA_BROKER is not set: for example 127.0.0.1:9092")
    try:
        interrupt.run(_changes(settings, last, follow=follow, as_json=as_json))
    except KeyboardInterrupt:
        return


async def _changes(settings: Settings, last: int, *, follow: bool, as_json: bool) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_broker)
    await consumer.start()
    try:
        topic = settings.topic_changes
        partitions = await partitions_of(consumer, topic)
        consumer.assign(partitions)
        for change in await _latest(consumer, partitions, last):
            _print(change, as_json=as_json)
        while follow:
            for records in (await consumer.getmany(timeout_ms=FETCH_MS)).values():
                for record in records:
                    if record.value is not None:
                        change = SegmentChanged.model_validate_json(record.value)
                        _print(change, as_json=as_json)
    finally:
        await consumer.stop()


async def _latest(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], count: int
) -> list[SegmentChanged]:
    """Read the latest changes of all partitions and leave the consumer at the end."""
    ends = await consumer.end_offsets(partitions) if partitions else {}
    begins = await consumer.beginning_offsets(partitions) if partitions else {}
    for partition, end in ends.items():
        consumer.seek(partition, max(begins[partition], end - count))
    found: list[SegmentChanged] = []
    while (batch := await consumer.getmany(timeout_ms=FETCH_MS)) or await _behind(consumer, ends):
        values = [record.value for records in batch.values() for record in records]
        found += [SegmentChanged.model_validate_json(v) for v in values if v is not None]
    found.sort(key=lambda change: change.emitted_at)
    return found[len(found) - count :] if count < len(found) else found


async def _behind(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    return any([await consumer.position(place) < end for place, end in ends.items()])


def _print(change: SegmentChanged, *, as_json: bool) -> None:
    if as_json:
        typer.echo(change.model_dump_json())
    else:
        console.print(
            f"[dim]{change.occurred_at:%Y-%m-%d %H:%M}[/dim] [cyan]{change.reason.value:8}[/cyan] "
            f"{describe(change)}",
            soft_wrap=True,
        )
