import json
from datetime import UTC, datetime, timedelta, timezone
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from stream_app.contracts import Gender, Item, Profile, Purchase
from stream_app.schema import json_schema

MOMENT = "2026-01-05T10:00:00Z"
PURCHASE = {"event_id": "o-1", "customer_id": "c-42", "occurred_at": MOMENT, "total": 19.9}
PROFILE = {"customer_id": "c-42", "updated_at": MOMENT}
BAD_IDS = ["", "two words", " padded ", "{tag}", "a}", "x" * 129, "café", "名前", "line\n", "a\x00"]
FIELDS = json_schema(Purchase)["properties"]
ID = FIELDS["customer_id"]
ITEM_FIELDS = json_schema(Purchase)["$defs"]["Item"]["properties"]


def purchase(**changes: object) -> Purchase:
    return Purchase.model_validate_json(json.dumps(PURCHASE | changes))


def profile(**changes: object) -> Profile:
    return Profile.model_validate_json(json.dumps(PROFILE | changes))


def fits(contract: type[BaseModel], message: object) -> bool:
    return Draft202012Validator(json_schema(contract)).is_valid(message)


def refusal(contract: type[BaseModel], message: dict[str, Any]) -> str:
    """The path of the one field that is refused."""
    with pytest.raises(ValidationError) as refused:
        contract.model_validate_json(json.dumps(message))
    [error] = refused.value.errors()
    return ".".join(str(part) for part in error["loc"])


def refused_by_both(contract: type[BaseModel], message: dict[str, Any]) -> str:
    assert not fits(contract, message)
    return refusal(contract, message)


def numbers(rule: dict[str, Any]) -> st.SearchStrategy[float]:
    return st.floats(rule["minimum"], rule["maximum"])


IDS = st.text(ascii_letters + digits + "_.:@+=/-", min_size=1, max_size=ID["maxLength"])
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
LABELS = st.text(CHARACTERS, max_size=64).map(str.strip).filter(bool)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=OFFSETS)  # noqa: DTZ001
ITEMS = st.builds(
    Item,
    sku=st.text(CHARACTERS, max_size=128),
    category=st.none() | LABELS,
    quantity=numbers(ITEM_FIELDS["quantity"]),
    unit_price=numbers(ITEM_FIELDS["unit_price"]),
)
PURCHASES = st.builds(
    Purchase,
    event_id=IDS,
    customer_id=IDS,
    occurred_at=MOMENTS,
    type=st.sampled_from(FIELDS["type"]["enum"]),
    currency=st.from_regex(FIELDS["currency"]["pattern"], fullmatch=True),
    total=numbers(FIELDS["total"]),
    discount=numbers(FIELDS["discount"]),
    channel=st.none() | LABELS,
    items=st.lists(ITEMS, max_size=8).map(tuple),
)
PROFILES = st.builds(
    Profile,
    customer_id=IDS,
    updated_at=MOMENTS,
    birth_year=st.none() | st.integers(1880, 2100),
    age=st.none() | st.integers(0, 130),
    gender=st.none() | st.sampled_from(Gender),
    interests=st.lists(LABELS, max_size=16).map(tuple),
    attributes=st.dictionaries(LABELS, st.text(CHARACTERS, max_size=128), max_size=16),
    marketing_consent=st.none() | st.booleans(),
)


@given(PURCHASES | PROFILES)
def test_any_message_survives_its_own_json(value: Purchase | Profile) -> None:
    assert type(value).model_validate_json(value.model_dump_json()) == value


@pytest.mark.parametrize("short", [True, False])
@given(value=PURCHASES | PROFILES)
def test_the_schema_accepts_any_message(value: Purchase | Profile, *, short: bool) -> None:
    assert fits(type(value), json.loads(value.model_dump_json(exclude_defaults=short)))


def test_four_fields_are_a_purchase_and_the_rest_has_defaults() -> None:
    found = purchase()

    assert found.occurred_at == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert (found.type, found.currency, found.discount) == ("purchase", "USD", 0.0)
    assert (found.channel, found.items, found.schema_version) == (None, (), 1)


@pytest.mark.parametrize("field", PURCHASE)
def test_a_purchase_without_one_of_its_four_fields_is_refused(field: str) -> None:
    rest = {name: value for name, value in PURCHASE.items() if name != field}

    assert refused_by_both(Purchase, rest) == field


def test_fields_of_the_shop_are_ignored() -> None:
    extra = {"till": 7, "nested": {"any": [None]}, "items": [{"sku": "a", "colour": "red"}]}

    assert purchase(**extra) == purchase(items=[{"sku": "a"}])
    assert fits(Purchase, PURCHASE | extra)


def test_a_field_that_is_ignored_may_even_hold_what_json_does_not_know() -> None:
    raw = json.dumps(PURCHASE | {"weight": float("nan")})

    assert Purchase.model_validate_json(raw) == purchase()


@pytest.mark.parametrize("moment", ["2026-01-05T10:00:00", "2026-01-05", "yesterday", "", None])
def test_a_time_without_its_offset_is_refused(moment: str | None) -> None:
    assert refusal(Purchase, PURCHASE | {"occurred_at": moment}) == "occurred_at"
    assert refusal(Profile, PROFILE | {"updated_at": moment}) == "updated_at"


def test_the_same_instant_in_another_offset_is_the_same_purchase() -> None:
    assert purchase(occurred_at="2026-01-05T15:30:00+05:30") == purchase()


@pytest.mark.parametrize("field", ["total", "discount"])
@pytest.mark.parametrize("amount", [-0.01, -1, 1e9 + 1, None, "ten"])
def test_a_negative_or_absurd_amount_is_refused(field: str, amount: object) -> None:
    assert refused_by_both(Purchase, PURCHASE | {field: amount}) == field


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("field", ["total", "discount"])
def test_an_amount_that_is_no_finite_number_is_refused(field: str, amount: str) -> None:
    raw = json.dumps(PURCHASE | {field: "?"}).replace('"?"', amount)

    with pytest.raises(ValidationError, match=field):
        Purchase.model_validate_json(raw)


def test_an_amount_from_nothing_to_a_billion_is_accepted() -> None:
    assert [purchase(total=amount).total for amount in (0, 0.001, 19, 1e9)] == [0, 0.001, 19, 1e9]


@pytest.mark.parametrize("field", ["quantity", "unit_price"])
@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -1, 1e10])
def test_an_item_that_cannot_be_counted_is_refused(field: str, amount: float) -> None:
    assert refusal(Purchase, PURCHASE | {"items": [{field: amount}]}) == f"items.0.{field}"


@pytest.mark.parametrize("bad", BAD_IDS)
def test_a_bad_id_is_refused_wherever_it_stands(bad: str) -> None:
    assert refusal(Purchase, PURCHASE | {"customer_id": bad}) == "customer_id"
    assert refusal(Purchase, PURCHASE | {"event_id": bad}) == "event_id"
    assert refusal(Profile, PROFILE | {"customer_id": bad}) == "customer_id"


@pytest.mark.parametrize("good", ["7", "x" * 128, "a_b.c:d@e+f=g/h-i", "-"])
def test_an_id_of_the_allowed_characters_is_accepted(good: str) -> None:
    assert purchase(customer_id=good, event_id=good).customer_id == good


def test_a_number_is_no_id() -> None:
    assert refused_by_both(Purchase, PURCHASE | {"customer_id": 42}) == "customer_id"


@pytest.mark.parametrize("code", ["", "usd", "US", "USDT", "U D", "ÜSD", "USD\n", None])
def test_a_currency_is_three_capital_letters(code: str | None) -> None:
    assert refusal(Purchase, PURCHASE | {"currency": code}) == "currency"
    assert purchase(currency="EUR").currency == "EUR"


@pytest.mark.parametrize("kind", ["return", "Purchase", "", None])
def test_only_purchases_and_refunds_are_known(kind: str | None) -> None:
    assert refused_by_both(Purchase, PURCHASE | {"type": kind}) == "type"
    assert purchase(type="refund").type == "refund"


def test_another_schema_version_is_refused() -> None:
    assert refused_by_both(Purchase, PURCHASE | {"schema_version": 2}) == "schema_version"
    assert refused_by_both(Profile, PROFILE | {"schema_version": 2}) == "schema_version"


def test_a_basket_has_at_most_a_thousand_items() -> None:
    assert len(purchase(items=[{}] * 1000).items) == 1000
    assert refused_by_both(Purchase, PURCHASE | {"items": [{}] * 1001}) == "items"


def test_labels_are_never_blank_and_have_no_control_characters() -> None:
    assert purchase(channel="  web ").channel == "  web "
    assert refused_by_both(Purchase, PURCHASE | {"channel": "   "}) == "channel"
    assert refused_by_both(Purchase, PURCHASE | {"channel": "we\x00b"}) == "channel"
    assert refused_by_both(Purchase, PURCHASE | {"channel": "x" * 65}) == "channel"


def test_a_customer_and_a_time_are_a_profile() -> None:
    found = profile()

    assert (found.birth_year, found.age, found.gender, found.marketing_consent) == (None,) * 4
    assert (found.interests, found.attributes) == ((), {})
    assert profile(loyalty="gold") == found


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("attributes", {f"k{i}": "v" for i in range(17)}),
        ("attributes", {"k": "v" * 129}),
        ("attributes", {"k" * 65: "v"}),
        ("attributes", {"": "v"}),
        ("attributes", {"k": 1}),
        ("interests", [f"i{i}" for i in range(17)]),
        ("interests", ["x" * 65]),
        ("birth_year", 1879),
        ("birth_year", 2101),
        ("birth_year", 1988.5),
        ("age", -1),
        ("age", 131),
        ("gender", "F"),
        ("marketing_consent", "maybe"),
    ],
)
def test_a_profile_beyond_its_limits_is_refused(field: str, limit: object) -> None:
    assert refused_by_both(Profile, PROFILE | {field: limit}).split(".")[0] == field


def test_a_profile_at_its_limits_is_accepted() -> None:
    found = profile(
        attributes={f"{i:064}": "v" * 128 for i in range(16)},
        interests=[f"{i:064}" for i in range(16)],
        birth_year=1880,
        age=130,
        gender="other",
        marketing_consent=False,
    )

    assert len(found.attributes) == len(found.interests) == 16
