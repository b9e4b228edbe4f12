"""What was understood of a source, in words: for `--dry-run` and before a replay."""

from collections.abc import Iterator
from itertools import islice

from producers.columns import mapped
from producers.sources import Facts, Source, iso
from producers.table import Table

EXAMPLES = 3
LONGEST = 400


def summary(facts: Facts) -> Iterator[str]:
    """Describe the counts, the period, what was skipped and what to know."""
    counted = "" if facts.purchases is None else f"{facts.purchases:,} purchases, "
    period = f"{_day(facts.first)} to {_day(facts.last)}"
    yield f"{facts.name}: {counted}{facts.profiles:,} profiles, {period} (UTC)"
    for reason, count in facts.skipped.most_common():
        yield f"  skipped {count:,} rows: {reason}"
    for note in facts.notes:
        yield f"  note: {note}"


def mapping(source: Source) -> Iterator[str]:
    """Describe which column was taken for what; nothing for a known data set."""
    if not isinstance(source, Table):
        return
    for role, column in mapped(source.columns).items():
        yield f"  {role.removesuffix('_column'):<9} <- {column}"
    yield f"  dates are read as {source.columns.date_format}; currency {source.columns.currency}"


def examples(source: Source) -> Iterator[str]:
    """Show the first events as they would be published."""
    for record in islice(source, EXAMPLES):
        text = record.value.decode()
        yield f"  {text if len(text) <= LONGEST else text[:LONGEST] + ' ...'}"


def _day(at: int) -> str:
    return iso(at)[:10]
