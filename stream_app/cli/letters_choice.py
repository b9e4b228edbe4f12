"""Which dead letters a command acts on, and what is said about it before it does."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import typer

from stream_app.adapters.clock import wall_ms
from stream_app.adapters.dead_letters import LetterBox
from stream_app.adapters.letter_marks import Mark
from stream_app.cli.desk import UNKNOWN, refuse
from stream_app.cli.letters_view import counted, say
from stream_app.contracts import RejectReason
from stream_app.core.events import Limits, to_datetime
from stream_app.core.letters import Letter, Wanted, obstacle, parse_since, refused_now

PROBLEMS_SHOWN = 5


def moment(since: str) -> datetime | None:
    """Read the option ``--since``; exit code 2 if it is neither a span nor a date."""
    try:
        return parse_since(since, to_datetime(wall_ms())) if since else None
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--since {since!r}: write a span as 30m, 2h or 7d, or a date as 2026-01-31"
        ) from None


def selection(
    ids: list[str] | None, reason: RejectReason | None, since: str, *, every: bool
) -> Wanted:
    """Read what is to be acted on; exit code 2 unless it is ids, or a reason, or all."""
    if bool(ids) == (reason is not None or every) or (ids and since):
        raise typer.BadParameter("name either ids, or --reason R, or --all (both with --since)")
    return Wanted(frozenset(ids or ()), reason, moment(since))


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a record can be sent again, and would be refused again: topics, limits, now (ms)."""

    topics: tuple[str, str]
    limits: Limits
    wall: int


@dataclass(slots=True)
class Choice:
    """Letters to act on, by mark, and why others are left out."""

    marks: Mapping[str, Mark]
    chosen: dict[str, RejectReason] = field(default_factory=dict)
    topics: Counter[str] = field(default_factory=Counter)
    refused: Counter[RejectReason] = field(default_factory=Counter)
    handled: int = 0
    problems: list[str] = field(default_factory=list)
    present: set[str] = field(default_factory=set)

    def take(self, letter: Letter, check: Check | None, *, again: bool) -> None:
        """Decide about one letter that is wanted."""
        if letter.mark in self.marks and not again:
            self.handled += 1
        elif check and (why := obstacle(letter, check.topics)):
            self.problems.append(f"{letter.id}: {why}")
        else:
            self.chosen[letter.mark] = letter.facts.reason
            self.topics[letter.facts.topic] += 1
            if check and (now := refused_now(letter, check.topics, check.limits, check.wall)):
                self.refused[now.reason] += 1

    def tell(self) -> None:
        """Say what was chosen, and what was not."""
        kinds = Counter(self.chosen.values())
        say(f"{len(self.chosen):,} chosen: {counted(kinds)}" if kinds else "nothing to do")
        if self.refused:
            say(f"  would be refused again: {counted(self.refused)}")
        if self.handled:
            say(f"  left out: {self.handled:,} handled before (`replay --again` takes them)")
        for problem in self.problems[:PROBLEMS_SHOWN]:
            say(f"  left out: {problem}")
        if len(self.problems) > PROBLEMS_SHOWN:
            say(f"  left out: {len(self.problems) - PROBLEMS_SHOWN:,} more")

    async def tidy(self, box: LetterBox) -> None:
        """Forget marks of letters that Kafka has deleted."""
        await box.marks.forget(self.marks, self.present, to_datetime(wall_ms()))


async def choose(
    box: LetterBox, wanted: Wanted, *, again: bool = False, check: Check | None = None
) -> Choice:
    """Read all letters and decide about each; an unknown id ends it, with exit code 1."""
    choice, missing = Choice(await box.marks.all()), set(wanted.ids)
    async for letter in box.letters():
        choice.present.add(letter.mark)
        if letter in wanted:
            missing.discard(letter.id)
            choice.take(letter, check, again=again)
    if missing:
        names = ", ".join(sorted(missing))
        refuse(f"no dead letter {names}: see `segmenter dead-letters list`", UNKNOWN)
    return choice
