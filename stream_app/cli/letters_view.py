"""How ``segmenter dead-letters`` shows letters."""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from stream_app.adapters.letter_marks import Deed, Mark
from stream_app.cli.model_view import console, table
from stream_app.contracts import RejectReason
from stream_app.core.letters import Letter, Tally, printable

if TYPE_CHECKING:
    from datetime import datetime

HEX_COLUMNS = 32
OPEN = "open"
MEANINGS = {
    OPEN: "nobody has handled it",
    Deed.SENDING: "a replay was interrupted; it may have arrived",
    Deed.REPLAYED: "sent back to its topic",
    Deed.DISCARDED: "put aside without sending it",
}


def state(letter: Letter, marks: Mapping[str, Mark]) -> str:
    """Name what became of a letter."""
    mark = marks.get(letter.mark)
    return mark.deed.value if mark else OPEN


def text_of(value: bytes | None) -> str:
    """Show bytes on one line: as text where they are text, else as hex."""
    if value is None:
        return "–"
    try:
        return printable(value.decode()).replace("\n", "\\n")
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


def tallies(rows: Mapping[RejectReason, Tally]) -> None:
    """Print letters by reason, the most frequent first."""
    table(
        ("reason", "letters", "open", "first", "last"),
        (
            (reason, f"{row.letters:,}", f"{row.unhandled:,}", _time(row.first), _time(row.last))
            for reason, row in sorted(rows.items(), key=lambda pair: -pair[1].letters)
        ),
    )


def letters(found: Iterable[Letter], marks: Mapping[str, Mark]) -> None:
    """Print letters, a row each; an id stays in one piece, to be copied."""
    rows = Table()
    for head in ("id", "refused at (UTC)", "state", "reason", "key", "detail"):
        rows.add_column(head, no_wrap=head in {"id", "state"}, overflow="fold")
    for letter in found:
        facts = letter.facts
        about = (state(letter, marks), facts.reason.value, text_of(letter.key))
        cells = (letter.id, _time(facts.failed_at), *about, printable(facts.detail))
        rows.add_row(*map(Text, cells))
    if rows.row_count:
        console.print(rows)


def card(letter: Letter, mark: Mark | None) -> None:
    """Print everything of one letter; a JSON value indented, other bytes in hex."""
    facts = letter.facts
    done = f"{mark.deed} {_time(mark.at)}" if mark else OPEN
    lines = {
        "letter": letter.id,
        "reason": facts.reason.value,
        "detail": facts.detail,
        "refused": f"{_time(facts.failed_at)} UTC",
        "record": f"{facts.topic}, partition {facts.partition}, offset {facts.offset}",
        "state": f"{done}: {MEANINGS[mark.deed if mark else OPEN]}",
        "key": text_of(letter.key),
    }
    lines |= {f"header {name}": text_of(value) for name, value in letter.headers}
    for name, line in lines.items():
        console.print(Text(f"{printable(name)}: {printable(line)}"), soft_wrap=True)
    size = len(letter.value or b"")
    cut = f", cut from {letter.full_size:,}" if letter.full_size is not None else ""
    console.print(Text(f"value ({size:,} bytes{cut}):"))
    console.print(Text(pretty(letter.value)), soft_wrap=True)


def pretty(value: bytes | None) -> str:
    """Indent JSON; write text as it is, and other bytes in hex, 32 a line."""
    if value is None:
        return "none"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex(" ", -4) if len(value) <= HEX_COLUMNS else _dump(value)
    try:
        return printable(json.dumps(json.loads(text), indent=2, ensure_ascii=False))
    except ValueError:
        return printable(text)


def _dump(value: bytes) -> str:
    rows = range(0, len(value), HEX_COLUMNS)
    return "\n".join(f"{at:08x}  {value[at : at + HEX_COLUMNS].hex(' ', -4)}" for at in rows)


def as_dict(letter: Letter, marks: Mapping[str, Mark], *, whole: bool = False) -> dict[str, Any]:
    """Write a letter for programs; bytes as text where they are text, else ``base64:…``."""
    mark = marks.get(letter.mark)
    facts = letter.facts.model_dump(mode="json") | {
        "id": letter.id,
        "state": state(letter, marks),
        "handled_at": mark.at.isoformat() if mark else None,
        "key": _text(letter.key),
    }
    if whole:
        headers = [[name, _text(value)] for name, value in letter.headers]
        facts |= {"headers": headers, "value": _text(letter.value), "full_size": letter.full_size}
    return facts


def tally_dict(reason: RejectReason, row: Tally) -> dict[str, Any]:
    """Write a tally for programs."""
    times = {"first": row.first.isoformat(), "last": row.last.isoformat()}
    return {"reason": reason.value, "letters": row.letters, "open": row.unhandled, **times}


def counted(reasons: Counter[RejectReason]) -> str:
    """Write counts in words: "3 not-json, 1 empty"."""
    return ", ".join(f"{count:,} {reason.value}" for reason, count in reasons.most_common())


def say(line: str) -> None:
    """Print a line for the person at the terminal; programs read stdout."""
    typer.echo(line, err=True)


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return f"base64:{b64encode(value or b'').decode()}"


def _time(moment: "datetime") -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
