"""``segmenter rebuild``: all customers counted anew, while those stored now go on serving."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from producers.terminal import STOPPED
from stream_app import interrupt
from stream_app.adapters.generations import Generations, generations
from stream_app.adapters.kafka_history import history
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.cli.desk import refuse
from stream_app.config import ConfigError, Settings, load
from stream_app.ports import StoreUnavailableError

FAILED = 1

Anew = Annotated[
    bool, typer.Option("--anew", help="Start over instead of going on with an interrupted one")
]
DropOld = Annotated[
    bool, typer.Option("--drop-old", help="Only remove what former generations left in Redis")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Remove the former generation without asking")
]


def rebuild(*, anew: Anew = False, drop_old: DropOld = False, yes: Yes = False) -> None:
    """Count all customers anew from what Kafka still has, and then serve these.

    When: Redis has lost its memory, or SEGMENTER_HALF_LIFE_DAYS, SEGMENTER_BASE_CURRENCY,
    SEGMENTER_PARTITIONS, the rates or the features are to change. Run it with the new settings.

    The stored customers go on serving meanwhile. Then all is switched at once: running workers
    leave with exit code 75 and must be started again, with the new settings too. Interrupted, it
    goes on where it stopped when it is run again.

    Moves that it decides are history: of each customer the latest is published, with replay true.
    What Kafka's retention has deleted can't be counted. Exit code 1 if it could not be
    finished: what served before serves on.

    Examples:
        segmenter rebuild

        SEGMENTER_HALF_LIFE_DAYS=90 segmenter rebuild --yes

        segmenter rebuild --drop-old

    """
    from stream_app.rebuilding import RebuildError, check_possible  # noqa: PLC0415

    settings = load()
    check_possible(settings)
    try:
        if not drop_old:
            interrupt.run(_rebuild(settings, anew=anew))
        asyncio.run(_drop(settings, sure=yes or drop_old))
    except RebuildError as error:
        refuse(f"segmenter rebuild: {error}", FAILED)
    except KeyboardInterrupt:
        refuse("stopped; run it again, it goes on", STOPPED)
    except StoreUnavailableError as error:
        raise ConfigError(
            f"REDIS_URL: the store does not answer: {error}; run it again, it goes on"
        ) from None


async def _rebuild(settings: Settings, *, anew: bool) -> None:
    from stream_app.rebuild import Rebuild  # noqa: PLC0415
    from stream_app.rebuilding import announce, former_of  # noqa: PLC0415

    await ensure_topics(settings)
    publisher = KafkaPublisher(settings)
    try:
        async with generations(settings) as stored, history(settings) as past:
            number = await stored.current()
            await announce(settings, stored, number, publisher)
            await _restore(settings, stored)
            former = former_of(settings, number, await stored.facts(number))
            with _progress() as bar:
                work = Rebuild(settings, stored, past, former, Bars(bar).show)
                await work.run(publisher, anew=anew)
            sent = await announce(settings, stored, work.number, publisher)
            _say(
                f"generation {work.number} serves: start the workers that have left (exit code 75) "
                f"with these settings. {sent:,} customers' places were sent to "
                f"{settings.topic_changes} with replay"
            )
    finally:
        await publisher.close()


async def _restore(settings: Settings, stored: Generations) -> None:
    """Put the models back where the store has none and Kafka still has them."""
    from stream_app.rebuilding import published_models  # noqa: PLC0415

    if await stored.restore_models(await published_models(settings)):
        _say(f"the models were read back from {settings.topic_models}")


async def _drop(settings: Settings, *, sure: bool) -> None:
    async with generations(settings) as stored:
        others = await stored.others()
        if not others:
            return
        names = ", ".join(map(str, others))
        if not sure and not (sys.stdin.isatty() and typer.confirm(f"Remove generation {names}?")):
            _say(f"generation {names} is kept; `segmenter rebuild --drop-old` removes it")
            return
        gone = sum([await stored.drop(number) for number in others])
        _say(f"generation {names} is removed: {gone:,} keys")


def _progress() -> Progress:
    columns = (TextColumn("partition {task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


class Bars:
    """One bar for each partition: records read, and how many there are."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[int, TaskID] = {}

    def show(self, done: Mapping[int, tuple[int, int]]) -> None:
        """Draw how far each partition is."""
        for partition, (read, total) in sorted(done.items()):
            if partition not in self._tasks:
                self._tasks[partition] = self._progress.add_task(str(partition))
            self._progress.update(self._tasks[partition], completed=read, total=total)


def _say(text: str) -> None:
    typer.echo(text, err=True)
