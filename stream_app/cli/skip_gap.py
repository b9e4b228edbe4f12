"""``segmenter skip-gap``: go on after records that Kafka deleted before they were counted."""

import asyncio
from typing import Annotated

import typer

from stream_app.adapters.clock import wall_ms
from stream_app.adapters.gaps import Gap, gaps, letter_of, skip
from stream_app.adapters.kafka_history import history
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import owner_name, settle, store_of
from stream_app.cli.desk import refuse
from stream_app.cli.options import Yes
from stream_app.config import ConfigError, Settings, load
from stream_app.ports import StoreUnavailableError

MOVED = 1


def skip_gap(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is missing")] = False,
    yes: Yes = False,
) -> None:
    """Accept that records are lost which Kafka deleted before a worker had read them.

    A worker refuses to start on such a gap, because what was in it is counted nowhere. This
    writes each gap down as a dead letter (reason gap) and lets workers go on after it. The other
    way out is `segmenter rebuild`, which counts all that Kafka still has.

    Examples:
        segmenter skip-gap --dry-run

        segmenter skip-gap --yes

    """
    settings = load()
    if not settings.kafka_broker:
        raise ConfigError("KAFKA_BROKER is not set: for example 127.0.0.1:9092")
    try:
        asyncio.run(_skip(settings, dry_run=dry_run, yes=yes))
    except StoreUnavailableError as error:
        raise ConfigError(f"REDIS_URL: the store does not answer: {error}") from None


async def _skip(settings: Settings, *, dry_run: bool, yes: bool) -> None:
    store = store_of(settings)
    try:
        await settle(settings, store)
        found = await _find(settings, store)
        for gap in found:
            typer.echo(f"{gap}: deleted by Kafka, not counted", err=True)
        if not found:
            typer.echo("nothing is missing", err=True)
        if found and not dry_run:
            if not yes:
                typer.confirm("Go on without them?", abort=True, err=True)
            await _write(settings, store, found)
    finally:
        await store.close()


async def _find(settings: Settings, store: RedisStore) -> list[Gap]:
    async with history(settings) as past:
        earliest = await past.earliest()
    counters = {p: await store.counters(p) for p in {tp.partition for tp in earliest}}
    positions = {
        tp: at
        for tp in earliest
        if (at := counters[tp.partition].get(f"next:{tp.topic}")) is not None
    }
    return gaps(positions, earliest)


async def _write(settings: Settings, store: RedisStore, found: list[Gap]) -> None:
    publisher, owner = KafkaPublisher(settings), f"skip-gap-{owner_name()}"
    try:
        for gap in found:
            letter = letter_of(gap, settings.topic_dead_letters, wall_ms())
            if not await skip(store, publisher, gap, letter, owner):
                refuse(f"{gap}: a worker has written meanwhile; run it again", MOVED)
            typer.echo(f"{gap}: passed over, see `segmenter dead-letters list`", err=True)
    finally:
        await publisher.close()
