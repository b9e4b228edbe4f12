"""How far a replay came, in a small JSON file beside the user."""

from pathlib import Path

import msgspec

from producers.sources import Facts, SourceError


class Position(msgspec.Struct, frozen=True):
    """``done`` records of a source are acknowledged, the last of them at event time ``at`` (ms).

    The other fields tell whether a file still holds the same records in the same places.
    """

    source: str
    total: int | None
    first: int
    last: int
    done: int
    at: int


def save_position(path: Path, facts: Facts, done: int, at: int) -> None:
    """Write atomically: a crash leaves the former position or this one."""
    position = Position(facts.name, facts.total, facts.first, facts.last, done, at)
    draft = path.with_name(path.name + ".tmp")
    draft.write_bytes(msgspec.json.encode(position))
    draft.replace(path)


def load_position(path: Path, facts: Facts) -> Position | None:
    """Read the position of this very source; None where there is no file.

    Raises SourceError when the file is unreadable, or of a source that is another or has changed.
    """
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Position)
    except msgspec.DecodeError as error:
        raise SourceError(f"{path} holds no replay position ({error}): remove it") from error
    if found != Position(facts.name, facts.total, facts.first, facts.last, found.done, found.at):
        raise SourceError(
            f"{path} is of {found.source} with {found.total} records, not of {facts.name} with"
            f" {facts.total} as it is now: replay from the start, without --resume"
        )
    return found
