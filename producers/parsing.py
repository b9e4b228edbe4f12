"""Cells of foreign files: numbers, identifiers and dates as people write them."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import NamedTuple

from producers.sources import SourceError

MISSING = frozenset({"", "nan", "none", "null", "na", "n/a", "nat", "<na>", "-"})
ID_LENGTH = 128
SAMPLE = 2000

_FLOAT_ID = re.compile(r"(\d+)\.0+")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.:@+/-]")
_NOT_NUMBER = re.compile(r"[\s$€£¥'\u00a0]|[A-Z]{3}")
_SLASHED = re.compile(r"(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4}|\d{2})(?!\d)")

_NUMERIC = re.compile(r"(\d{8,14})(?:\.\d+)?")

_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_NAMED_MONTHS = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y")
_YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d")
_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}

Parse = Callable[[str], int]


def is_missing(text: str) -> bool:
    """Tell whether a cell says that there is no value."""
    return text.casefold() in MISSING


def clean_id(text: str) -> str:
    """Undo the float a spreadsheet made of a whole-number id; escape what a key may not hold.

    An id with other characters than ``A-Za-z0-9_.:@+=/-`` has each of them (and each ``=``)
    written as ``=XX`` per UTF-8 byte.

    >>> clean_id("12345.0"), clean_id("Jo Ann"), clean_id("a=")
    ('12345', 'Jo=20Ann', 'a=')
    """
    whole = _FLOAT_ID.fullmatch(text)
    if whole:
        return whole[1]
    if not _ILLEGAL.search(text.replace("=", "")):
        return text
    return _ILLEGAL.sub(lambda m: "".join(f"={byte:02X}" for byte in m[0].encode()), text)


def short_id(text: str) -> str:
    """Keep an id of legal length; digest a longer one to 32 hexadecimal digits."""
    return text if len(text) <= ID_LENGTH else blake2b(text.encode(), digest_size=16).hexdigest()


def decimal_mark(texts: Iterable[str]) -> str:
    """Decide from a column's cells whether "," or "." marks the decimals.

    >>> decimal_mark(["1.234,50"]), decimal_mark(["2,55", "12"]), decimal_mark(["1,234", "7.5"])
    (',', ',', '.')
    """
    cells = [text for text in texts if "," in text]
    if any("." in text for text in cells):
        return "," if all(text.rfind(",") > text.rfind(".") for text in cells) else "."
    grouped = all(re.search(r"\d,\d{3}(?!\d)", text) for text in cells)
    return "." if grouped else ","


def parse_number(text: str, mark: str) -> float:
    """Read a number with currency signs, grouping and accounting brackets.

    Raises ValueError when it is none, infinite or not a number.

    >>> parse_number("($1,234.50)", "."), parse_number("1.234,50 EUR", ",")
    (-1234.5, 1234.5)
    """
    text = _NOT_NUMBER.sub("", text)
    if (text.startswith("(") and text.endswith(")")) or text.endswith("-"):
        text = "-" + text.strip("()-")
    if mark == ",":
        text = text.replace(".", "").replace(",", ".")
    number = float(text.replace(",", ""))
    if not abs(number) < float("inf"):
        raise ValueError(f"{text} is not a finite number")
    return number


class DateReader(NamedTuple):
    """How a column of dates is read: cell to ms since 1970, its name, and what was assumed."""

    parse: Parse
    name: str
    note: str = ""


def date_reader(cells: Iterable[str], wanted: str | None, option: str) -> DateReader:
    """Choose how to read a column; ``wanted`` is a strptime format, iso, unix or unix-ms.

    Raises SourceError naming ``option`` when nothing fits.
    """
    if wanted:
        return DateReader(_parser(wanted), wanted)
    distinct = list(dict.fromkeys(cells))
    sample = distinct[:SAMPLE]
    for name in _candidates(distinct, sample):
        parse = _parser(name)
        if sum(_readable(parse, cell) for cell in sample) * 2 > len(sample):
            return DateReader(parse, name, _ambiguity(distinct, name, option))
    shown = ", ".join(repr(cell) for cell in sample[:3]) or "no value at all"
    raise SourceError(
        f"cannot tell how dates are written ({shown}): set {option}, e.g. {option} %d/%m/%Y"
    )


def _candidates(distinct: Sequence[str], sample: Sequence[str]) -> list[str]:
    numeric = [match[1] for match in map(_NUMERIC.fullmatch, sample) if match]
    if numeric and len(numeric) * 2 > len(sample):
        lengths = {len(digits) for digits in numeric}
        named = [_DIGITS[length] for length in lengths if length in _DIGITS]
        return [*named, "unix" if max(lengths) < 12 else "unix-ms"]  # noqa: PLR2004
    days = [*_slashed(distinct), *_NAMED_MONTHS, *_YEAR_FIRST]
    return ["iso", *(day + time for day in days for time in _TIMES)]


def _slashed(distinct: Iterable[str]) -> list[str]:
    """Day-first and month-first formats of 01/12/2010, the one with more evidence first."""
    found = [match for match in map(_SLASHED.match, distinct) if match]
    if not found:
        return []
    separator, year = found[0][2], "%y" if len(found[0][4]) == 2 else "%Y"  # noqa: PLR2004
    days, months = _over_twelve(found, 1), _over_twelve(found, 3)
    orders = (("%d", "%m", year), ("%m", "%d", year))
    return [separator.join(parts) for parts in (orders if days >= months else orders[::-1])]


def _over_twelve(found: Sequence[re.Match[str]], group: int) -> int:
    return sum(int(match[group]) > 12 for match in found)  # noqa: PLR2004


def _ambiguity(distinct: Iterable[str], name: str, option: str) -> str:
    if not name.startswith(("%d/%m/", "%d-%m-")):
        return ""
    if _over_twelve([match for match in map(_SLASHED.match, distinct) if match], 1):
        return ""
    other = f"%m{name[2]}%d{name[5:]}"
    return f"every date could be day or month first; read as day first: else {option} '{other}'"


def _readable(parse: Parse, cell: str) -> bool:
    try:
        parse(cell)
    except ValueError:
        return False
    return True


def _parser(name: str) -> Parse:
    if name == "iso":
        return lambda cell: to_ms(datetime.fromisoformat(cell.removesuffix(" UTC")))
    if name in {"unix", "unix-ms"}:
        factor = 1000 if name == "unix" else 1
        return lambda cell: int(float(cell) * factor)
    return lambda cell: to_ms(datetime.strptime(cell, name))  # noqa: DTZ007


def to_ms(value: date) -> int:
    """Milliseconds since 1970 of a date or a time; UTC unless it carries an offset."""
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
    return round(zoned.timestamp() * 1000)
