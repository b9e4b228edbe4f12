"""The fast reading of purchases takes only what the contract takes, and with the same values."""

import json
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stream_app.contracts import Item, Purchase
from stream_app.core.reading import Reader
from tests.builders import PURCHASES, purchase_json
from tests.fuzz.material import NUMBERS, TEXTS, TIMES
from tests.fuzz.mutations import hostile, mutated

FIELDS = tuple(name for name in Purchase.model_fields if name != "items")
ITEM_FIELDS = tuple(Item.model_fields)
READER = Reader(Purchase)
ITEMS = [
    {"sku": "A-1", "category": "böden", "quantity": 2.0, "unit_price": 4.25},
    {"category": "b"},
]
WHOLE = purchase_json(total=9, discount=0.5, channel="web", currency="EUR", items=ITEMS)


@dataclass(frozen=True)
class Reads:
    """What both readings make of a value; None where one does not take it."""

    quick: dict[str, object] | None
    contract: dict[str, object] | None


def reads(value: bytes) -> Reads:
    quick = READER.quick(value)
    try:
        contract = Purchase.model_validate_json(value).model_dump()
    except ValidationError:
        contract = None
    return Reads(None if quick is None else fields_of(quick), contract)


def fields_of(found: Purchase) -> dict[str, object]:
    plain: dict[str, object] = {name: getattr(found, name) for name in Purchase.model_fields}
    plain["items"] = tuple({n: getattr(i, n) for n in ITEM_FIELDS} for i in found.items)
    return plain


def is_narrower(value: bytes) -> None:
    found = reads(value)
    if found.quick is not None:
        assert found.quick == found.contract, value


def test_what_shops_usually_send_is_read_fast_and_as_the_contract_reads_it() -> None:
    for value in (WHOLE, purchase_json(), purchase_json(items=[])):
        assert reads(value).quick is not None
        is_narrower(value)


@settings(max_examples=500)
@given(random=st.randoms(use_true_random=False))
def test_nothing_hostile_is_taken_that_the_contract_refuses(random: Random) -> None:
    topic, record = hostile(random)
    if topic == PURCHASES and record.value:
        is_narrower(record.value)


@settings(max_examples=500)
@given(seed=st.integers(0, 2**32), times=st.integers(1, 3))
def test_a_damaged_purchase_is_taken_only_as_the_contract_takes_it(seed: int, times: int) -> None:
    random, value = Random(seed), WHOLE
    for _ in range(times):
        value = mutated(random, value)
    is_narrower(value)


TOKENS = [
    *(f'"{text}"' for text in (*TIMES, *TEXTS) if text.isprintable()),
    *NUMBERS,
    "null",
    "true",
]


@pytest.mark.parametrize("token", TOKENS)
def test_every_value_of_every_field_means_the_same_to_both(token: str) -> None:
    for field in FIELDS:
        body = json.dumps(json.loads(WHOLE) | {field: "@"}).replace('"@"', token).encode()
        is_narrower(body)
    for field in ITEM_FIELDS:
        body = purchase_json(items=[{field: "@"}]).replace(b'"@"', token.encode())
        is_narrower(body)


DAY, CLOCK = r"20[0-3]\d-[01]\d-[0-3]\d", r"[0-2]\d:[0-6]\d(:[0-6]\d([.,]\d{0,9})?)?"
MOMENTS = st.from_regex(rf"\A{DAY}[Tt _]{CLOCK}([Zz]|[+-][0-2]\d:?[0-6]\d)?\Z")


@settings(max_examples=1000)
@given(moment=MOMENTS)
def test_a_moment_means_the_same_to_both_however_it_is_written(moment: str) -> None:
    is_narrower(purchase_json(occurred_at=moment))


@given(label=st.text(max_size=66), sku=st.text(max_size=130))
def test_a_text_is_taken_only_where_the_contract_takes_it(label: str, sku: str) -> None:
    is_narrower(purchase_json(channel=label, items=[{"category": label, "sku": sku}]))
    is_narrower(purchase_json(customer=label or "x", event=sku or "y", currency=label[:3]))


def test_unknown_fields_are_left_to_the_contract() -> None:
    value = purchase_json(note="new")

    assert READER.quick(value) is None
    assert READER.read(value) == Purchase.model_validate_json(value)


class Strange(BaseModel):
    one: int | str = 0


def test_a_contract_that_cannot_be_read_fast_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="one: only one type or null"):
        Reader(Strange)
