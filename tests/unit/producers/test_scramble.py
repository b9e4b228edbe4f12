"""Injected trouble is counted, and the good records all get through."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from pydantic import ValidationError

from producers.scramble import MALFORMED, Scrambled, Trouble
from producers.simulate import ShopConfig, Simulation
from producers.sources import Record
from stream_app.contracts import Purchase

SHOP = Simulation(ShopConfig(customers=200, days=90, join_days=30))
TROUBLE = Trouble(duplicates=0.05, late=0.05, malformed=0.1)


def _fault(record: Record) -> str:
    """What a receiver would object to; empty for a good purchase."""
    if len(record.value) > 65_536:
        return "oversized"
    try:
        purchase = Purchase.model_validate_json(record.value)
    except ValidationError as error:
        kind = error.errors()[0]["type"]
        names = {"json_invalid": "broken-json", "missing": "missing-field"}
        return names.get(kind, "wrong-type or nan")
    if purchase.customer_id != record.customer_id:
        return "wrong-key"
    if purchase.currency != "USD":
        return "unknown-currency"
    return "future-dated" if purchase.occurred_at.year > 2090 else ""


def test_every_good_record_survives_and_every_bad_one_is_counted() -> None:
    clean = list(SHOP)
    stream = Scrambled(SHOP, TROUBLE)
    records = list(stream)

    injected = stream.injected
    added = Counter(records) - Counter(clean)
    assert not Counter(clean) - Counter(records)
    assert len(records) == len(clean) + injected.total() - injected["late"]
    assert sum(n for r, n in added.items() if r in set(clean)) == injected["duplicate"] > 0
    faults = Counter(fault for r in records if r.kind == "purchase" and (fault := _fault(r)))
    assert faults.pop("wrong-type or nan") == injected["wrong-type"] + injected["nan"]
    assert faults == {
        kind: injected[kind] for kind in MALFORMED if kind not in {"wrong-type", "nan"}
    }
    assert all(injected[kind] > 0 for kind in MALFORMED)


def test_records_move_within_their_bounds_only() -> None:
    clean = list(SHOP)
    trouble = Trouble(duplicates=0, malformed=0, late=0, window=5)

    records = list(Scrambled(SHOP, trouble))

    places = {record: place for place, record in enumerate(clean)}
    moved = [place - places[record] for place, record in enumerate(records)]
    assert records != clean
    assert sorted(records) == sorted(clean)
    assert max(map(abs, moved)) <= 5


def test_late_records_come_after_the_window() -> None:
    clean = list(SHOP)
    stream = Scrambled(SHOP, Trouble(duplicates=0, malformed=0, late=0.1, window=0, late_by=300))

    records = list(stream)

    behind = sum(later.at < earlier.at for earlier, later in pairwise(records))
    assert sorted(records) == sorted(clean)
    assert 0 < behind <= stream.injected["late"]


def test_without_trouble_nothing_changes() -> None:
    quiet = Trouble(duplicates=0, late=0, malformed=0, window=0)

    assert list(Scrambled(SHOP, quiet)) == list(SHOP)


def test_iterating_again_gives_the_same_stream_and_counts() -> None:
    stream = Scrambled(SHOP, TROUBLE)
    first, counted = list(stream), Counter(stream.injected)

    assert list(stream) == first
    assert stream.injected == counted


@pytest.mark.parametrize("seed", [1, 2])
def test_the_seed_decides(seed: int) -> None:
    assert list(Scrambled(SHOP, replace(TROUBLE, seed=seed))) != list(Scrambled(SHOP, TROUBLE))
