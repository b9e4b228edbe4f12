"""How ``segmenter model`` shows versions, shifts and migrations."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream_app.contracts import ModelSnapshot, SegmentFate
from stream_app.words import number

if TYPE_CHECKING:
    from stream_app.core.rehearsal import Effect, Migration, Population, Shift

PIPE_WIDTH = 140
console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table of plain text."""
    table = Table()
    for head in heads:
        table.add_column(Text(head), no_wrap=head in {"segment", "from", "to"})
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


def segments(s: ModelSnapshot) -> None:
    """Print the segments of a version, profiles in the user's units."""
    rows = (
        (one.id, one.name, f"{one.share:.0%}", *(number(f, one.profile[f]) for f in s.features))
        for one in s.segments
    )
    table(("id", "segment", "share", *(f.replace("_", " ") for f in s.features)), rows)


def fates(fates: Iterable[SegmentFate]) -> None:
    """Print what became of segments, a line each."""
    for fate in fates:
        ends = [", ".join(map(str, end)) for end in (fate.old, fate.new) if end]
        typer.echo(f"{fate.kind}: {' → '.join(dict.fromkeys(ends))}")


def shifts(shifts: Sequence["Shift"]) -> None:
    """Print how far centroids moved, and what that means in the user's units."""
    features = list(shifts[0].profiles[0]) if shifts else []
    heads = ("id", "segment", "moved (scaled)", *(f.replace("_", " ") for f in features))
    rows = (
        (s.id, _turned(*s.names), f"{s.distance:.2f}", *_changes(features, *s.profiles))
        for s in shifts
    )
    table(heads, rows)


def _changes(features: Iterable[str], *profiles: Mapping[str, float]) -> Iterable[str]:
    return (_turned(*(number(f, profile[f]) for profile in profiles)) for f in features)


def _turned(old: str, new: str) -> str:
    return old if old == new else f"{old} → {new}"


def matrix(moved: "Migration", people: "Population") -> None:
    """Print who would move where."""
    typer.echo(f"who would be where, from {len(people.vectors):,} of {people.total:,} customers:")
    rows = (
        (
            f"{ref.id} {ref.name}",
            *(f"{n:,} ({p:.0%})" if n else "·" for n, p in zip(ns, ps, strict=True)),
        )
        for ref, ns, ps in zip(moved.old, moved.expected, moved.shares, strict=True)
    )
    table(("from ↓ to →", *(f"{ref.id} {ref.name}" for ref in moved.new)), rows)


def effect(effect: "Effect", people: "Population", margin: float) -> None:
    """Print what a new version would do at once."""
    if effect.migration:
        matrix(effect.migration, people)
    rows = ((m.old.name, m.new.name, f"{m.customers:,}") for m in effect.triggers)
    table(("from", "to", "segment changes at once"), rows)
    total = sum(m.customers for m in effect.triggers)
    typer.echo(f"{total:,} segment changes would be published at once")
    border = f"{effect.near_border:.1%} of the customers are"
    typer.echo(f"{border} nearly as near to another segment (margin {margin:g}): they could flap")
