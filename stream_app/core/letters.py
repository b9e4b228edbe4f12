"""Dead letters as operators handle them: read back, chosen, checked and sent again.

A letter is the refused record it carries: its id is the place where that record was, written
``purchases-2-1234`` (topic, partition, offset). After a crash the same letter may be in the topic
twice; both copies have one id and are handled once.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from stream_app.contracts import DeadLetter, RejectReason
from stream_app.core.events import Limits, Record, Rejected, decode_profile, decode_purchase, to_ms
from stream_app.core.messages import Headers, Outgoing, dead_letter_of

FIRST_HEADER = "dlq-reason"
CUT_HEADER = "dlq-truncated"
REPLAYED_FROM = "replayed-from"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MARK_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: why, and the original record, of which it has all `Record` asks for.

    ``full_size``: bytes of a value that had to be cut; None where the value is complete.
    """

    facts: DeadLetter
    key: bytes | None
    value: bytes | None
    headers: Headers
    full_size: int | None

    @property
    def offset(self) -> int:
        """Where the original record was."""
        return self.facts.offset

    @property
    def timestamp(self) -> int:
        """When it was refused, in ms."""
        return to_ms(self.facts.failed_at)

    @property
    def id(self) -> str:
        """The original record's topic, partition and offset."""
        return f"{self.facts.topic}-{self.facts.partition}-{self.facts.offset}"

    @property
    def mark(self) -> str:
        """Under what it is remembered: the id and a digest, should a topic begin anew at 0."""
        digest = sha256(repr((self.key, self.value)).encode()).hexdigest()
        return f"{self.id}:{digest[:MARK_DIGITS]}"

    def again(self) -> Outgoing:
        """Write the original record once more, with one header that says which letter it was."""
        headers = (*self.headers, (REPLAYED_FROM, self.id.encode()))
        return Outgoing(self.facts.topic, self.key, self.value, headers)


def read_letter(record: Record) -> Letter | None:
    """Take a record of the dead-letter topic apart; None if it is none of our letters.

    Our headers are the last ones: what a sender called ``dlq-…`` before stays the sender's.
    """
    headers = tuple(record.headers)
    names = [name for name, _ in headers]
    if FIRST_HEADER not in names:
        return None
    first = len(names) - 1 - names[::-1].index(FIRST_HEADER)
    cut = dict(headers[first:]).get(CUT_HEADER)
    try:
        facts = dead_letter_of(headers[first:])
        full_size = None if cut is None else int(cut)
    except ValueError:
        return None
    return Letter(facts, record.key, record.value, headers[:first], full_size)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant: ids, where there are any, else all that pass the filters."""

    ids: Collection[str] = ()
    reason: RejectReason | None = None
    since: datetime | None = None

    def __contains__(self, letter: Letter) -> bool:
        if self.ids:
            return letter.id in self.ids
        facts = letter.facts
        late = self.since is None or facts.failed_at >= self.since
        return late and self.reason in {None, facts.reason}


def parse_since(text: str, now: datetime) -> datetime:
    """Read a span before now (30m, 2h, 7d, 1w) or a date with or without a time (UTC).

    >>> noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    >>> parse_since("2h", noon).hour, parse_since("2026-01-01", noon).day
    (10, 1)

    Raises ValueError if it is neither.
    """
    if span := re.fullmatch(r"(\d{1,6})([smhdw])", text.strip()):
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    moment = datetime.fromisoformat(text.strip())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def refused_now(
    letter: Letter, topics: tuple[str, str], limits: Limits, wall: int
) -> Rejected | None:
    """Tell why the record would be refused again under these limits; None if it is decoded now.

    ``topics`` are those of purchases and of profiles; ``wall`` is the present in ms.
    """
    decode = decode_purchase if letter.facts.topic == topics[0] else decode_profile
    event = decode(letter, limits, wall)
    return event if isinstance(event, Rejected) else None


def obstacle(letter: Letter, topics: Collection[str]) -> str | None:
    """Tell why a letter can't be sent again at all; None if it can."""
    if letter.facts.topic not in topics:
        return f"its topic {letter.facts.topic} is not one of these settings'"
    if letter.facts.reason is RejectReason.GAP:
        return "its records are gone: Kafka has deleted them"
    if letter.full_size is not None:
        return f"its value was cut, of {letter.full_size:,} bytes {len(letter.value or b''):,} left"
    return None


@dataclass(slots=True)
class Tally:
    """Letters of one reason: how many, how many nobody has handled, the first and the last."""

    letters: int
    unhandled: int
    first: datetime
    last: datetime

    @classmethod
    def empty(cls, letter: Letter) -> "Tally":
        """Begin to count letters of the reason of this one."""
        at = letter.facts.failed_at
        return cls(0, 0, at, at)

    def add(self, letter: Letter, *, handled: bool) -> None:
        """Count a letter."""
        at = letter.facts.failed_at
        self.letters += 1
        self.unhandled += not handled
        self.first, self.last = min(self.first, at), max(self.last, at)


def printable(text: str) -> str:
    """Escape what could steer a terminal: a refused record may hold anything.

    >>> printable("Müller" + chr(27) + "[2J") == "Müller" + repr(chr(27))[1:-1] + "[2J"
    True
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
