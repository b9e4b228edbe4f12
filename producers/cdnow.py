"""CDNOW: 69,659 purchases of 23,570 customers of an early web shop, 1997-01-01 to 1998-06-30.

Everyone's first purchase is in the first quarter of 1997 and half of them buy once: the classic
test of churn models. Read from the package `lifetimes`, which is found but not imported.
"""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from producers.sources import Basket, BasketList, DatedBasket, Facts, Line, iso, package_folder

NOON_MS = 43_200_000


def load_cdnow(path: Path | None = None) -> BasketList:
    """Read the history; days become 12:00 UTC and ids count a customer's purchases of a day.

    Raises SourceError where the package is not installed.
    """
    if path is None:
        folder = package_folder("lifetimes", "pip install --no-deps lifetimes==0.11.3")
        path = folder / "datasets" / "CDNOW_master.txt"
    rows = [line.split() for line in path.read_text("ascii").splitlines()[1:]]
    of_day: Counter[tuple[str, str]] = Counter()
    baskets = sorted((_basket(row, of_day) for row in rows if row), key=lambda b: b.at)
    facts = Facts("cdnow", len(baskets), 0, baskets[0].at, baskets[-1].at)
    return BasketList(facts, baskets)


def _basket(row: list[str], of_day: Counter[tuple[str, str]]) -> DatedBasket:
    customer, day, cds, dollars = row
    of_day[customer, day] += 1
    at = _noon(day)
    total, count = float(dollars), int(cds)
    line = Line("cd", "music", count, round(total / count, 8))
    event_id = f"{customer}-{day}-{of_day[customer, day]}"
    return DatedBasket(at, Basket(event_id, customer, iso(at), total, items=(line,)))


def _noon(day: str) -> int:
    midnight = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
    return int(midnight.timestamp()) * 1000 + NOON_MS
