"""``segmenter dead-letters``: what was refused, sent back after a repair, or put aside."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from stream_app.adapters.clock import wall_ms
from stream_app.adapters.dead_letters import LetterBox, letter_box
from stream_app.adapters.letter_marks import letter_marks
from stream_app.bootstrap import limits_of
from stream_app.cli import letters_view as view
from stream_app.cli.desk import UNKNOWN, refuse
from stream_app.cli.letters_choice import Check, choose, moment, selection
from stream_app.cli.options import DryRun, Json, Yes
from stream_app.config import Settings, load
from stream_app.contracts import RejectReason
from stream_app.core.letters import Letter, Tally, Wanted

EMPTY = "there are no dead letters"

Answer = TypeVar("Answer")
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids, as `list` shows them")]
ByReason = Annotated[RejectReason | None, typer.Option("--reason", help="Only of this reason")]
Since = Annotated[
    str, typer.Option(metavar="SPAN|DATE", help="Only refused since: 30m, 2h, 7d or 2026-01-31")
]
Every = Annotated[bool, typer.Option("--all", help="All letters that are open")]
Again = Annotated[bool, typer.Option("--again", help="Also those that were handled before")]
Last = Annotated[int, typer.Option(min=0, help="Show so many of the latest")]
dead_letters = typer.Typer(
    no_args_is_help=True,
    help="Records that were refused: look, repair the cause, send them back or put them aside.\n\n"
    "A letter's id is where its record was: purchases-2-1234 is offset 1234 of partition 2.\n\n"
    "Only replay, discard and resume change anything.",
)


def _with_letters(work: Callable[[Settings, LetterBox], Awaitable[Answer]]) -> Answer:
    settings = load()

    async def run() -> Answer:
        async with letter_box(settings) as box:
            return await work(settings, box)

    return asyncio.run(run())


def _check_of(settings: Settings) -> Check:
    topics = (settings.topic_purchases, settings.topic_profiles)
    return Check(topics, limits_of(settings), wall_ms())


@dead_letters.command("list")
def list_(
    *, reason: ByReason = None, since: Since = "", last: Last = 20, as_json: Json = False
) -> None:
    """Count the letters by reason, and show the latest.

    Examples:
        segmenter dead-letters list --since 2h

        segmenter dead-letters list --reason unknown-currency --json

    """
    wanted = Wanted(reason=reason, since=moment(since))

    async def work(_: Settings, box: LetterBox) -> None:
        marks, halted = await box.marks.all(), await box.marks.halted()
        rows: dict[RejectReason, Tally] = {}
        latest: deque[Letter] = deque(maxlen=last)
        async for letter in box.letters():
            if letter in wanted:
                row = rows.setdefault(letter.facts.reason, Tally.empty(letter))
                row.add(letter, handled=letter.mark in marks)
                latest.append(letter)
        if as_json:
            reasons = [view.tally_dict(name, row) for name, row in rows.items()]
            found = [view.as_dict(letter, marks) for letter in latest]
            typer.echo(json.dumps({"halted": halted, "reasons": reasons, "letters": found}))
            return
        if rows:
            view.tallies(rows)
            view.letters(latest, marks)
        else:
            view.say(EMPTY if wanted == Wanted() else f"{EMPTY} of that kind")
        if box.foreign:
            view.say(f"{box.foreign:,} further records of the topic are no letters of this program")
        if halted:
            view.say(f"workers are halted: {halted}")

    _with_letters(work)


@dead_letters.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it")],
    *,
    as_json: Json = False,
) -> None:
    """Show everything of one letter: the record's bytes and headers, why, and what was done.

    Exit code 1 if there is no such letter.
    """
    wanted = Wanted({letter_id})

    async def work(_: Settings, box: LetterBox) -> None:
        marks = await box.marks.all()
        found = [letter async for letter in box.letters() if letter in wanted]
        if not found:
            refuse(f"no dead letter {letter_id!r}: see `segmenter dead-letters list`", UNKNOWN)
        for letter in found:
            if as_json:
                typer.echo(json.dumps(view.as_dict(letter, marks, whole=True)))
            else:
                view.card(letter, marks.get(letter.mark))

    _with_letters(work)


@dead_letters.command()
def replay(
    ids: Ids = None,
    *,
    reason: ByReason = None,
    every: Every = False,
    since: Since = "",
    dry_run: DryRun = False,
    again: Again = False,
    yes: Yes = False,
) -> None:
    """Send refused records back to their topics, once their cause is repaired.

    Bytes, key and headers are the original ones; the header replayed-from names the letter. No
    letter is sent twice unless --again. Says first how many would be refused again under the
    settings this command sees; set them as for the worker. Exit code 1 if some can't be sent.

    Examples:
        segmenter dead-letters replay purchases-2-1234

        segmenter dead-letters replay --reason unknown-currency --dry-run

    """
    wanted = selection(ids, reason, since, every=every)

    async def work(settings: Settings, box: LetterBox) -> None:
        choice = await choose(box, wanted, again=again, check=_check_of(settings))
        choice.tell()
        count = len(choice.chosen)
        if count and not dry_run:
            if not yes and (count > 1 or again):
                where = " and ".join(choice.topics)
                typer.confirm(f"Send {count:,} records back to {where}?", abort=True, err=True)
            sent = await box.replay(choice.chosen, again=again)
            meanwhile = f", {count - sent:,} handled by another meanwhile" if sent < count else ""
            view.say(f"{sent:,} sent back{meanwhile}")
            await choice.tidy(box)
        if choice.problems:
            raise typer.Exit(UNKNOWN)

    _with_letters(work)


@dead_letters.command()
def discard(
    ids: Ids = None,
    *,
    reason: ByReason = None,
    every: Every = False,
    since: Since = "",
    yes: Yes = False,
) -> None:
    """Put letters aside as handled, without sending them; replay --again can still send them.

    Kafka keeps the records until their retention ends.
    """
    wanted = selection(ids, reason, since, every=every)

    async def work(_: Settings, box: LetterBox) -> None:
        choice = await choose(box, wanted)
        choice.tell()
        if not choice.chosen:
            return
        if not yes:
            typer.confirm(f"Discard {len(choice.chosen):,} letters?", abort=True, err=True)
        await box.discard(choice.chosen)
        view.say(f"{len(choice.chosen):,} discarded")
        await choice.tidy(box)

    _with_letters(work)


@dead_letters.command()
def resume() -> None:
    """Let workers start again that a flood of dead letters has halted."""
    settings = load()

    async def work() -> bool:
        async with letter_marks(settings) as marks:
            return await marks.resume()

    halted = asyncio.run(work())
    view.say("workers may start again" if halted else "no worker is halted: nothing to do")
