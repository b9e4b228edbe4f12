"""What enters: purchases and profiles."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from stream_app.contracts.fields import Amount, Currency, Id, In, Label, Moment


class Item(In):
    """One line of a basket."""

    sku: Annotated[str, Field(max_length=128)] = Field("", description="The shop's article number")
    category: Label | None = Field(None, description="Where the customer's interests come from")
    quantity: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 1.0
    unit_price: Amount = Field(0.0, description="Price of one, in the purchase's currency")


class Purchase(In):
    """A completed basket, or a refund of one. Message key: ``customer_id``.

    Amounts are in ``currency``: ``total`` is what was paid after ``discount`` was taken off;
    for a refund it is what was paid back. Both are never negative.

    >>> Purchase.model_validate_json(
    ...     '{"event_id": "o-1", "customer_id": "42", "occurred_at": "2026-01-05T10:00:00Z",'
    ...     ' "total": 19.9}'
    ... ).currency
    'USD'
    """

    schema_version: Literal[1] = 1
    event_id: Id = Field(description="Unique; the same id again is a duplicate and is ignored")
    customer_id: Id
    occurred_at: Moment = Field(description="When the customer paid, with its UTC offset")
    type: Literal["purchase", "refund"] = "purchase"
    currency: Currency = Field("USD", description="ISO 4217; needs a rate unless it is the base")
    total: Amount = Field(description="Paid, after the discount; for a refund: paid back")
    discount: Amount = Field(0.0, description="Taken off before paying")
    channel: Label | None = Field(None, description="For example web, app or store")
    items: Annotated[tuple[Item, ...], Field(max_length=1000)] = Field(
        (), description="Lines of the basket; optional, they feed categories only"
    )


class Gender(StrEnum):
    """Declared gender; leave it out where it is unknown."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


class Profile(In):
    """What a customer declared. Key: ``customer_id``; a null value erases the customer.

    The newest ``updated_at`` wins; an older profile that arrives late changes nothing.
    """

    schema_version: Literal[1] = 1
    customer_id: Id
    updated_at: Moment = Field(description="When the customer declared this")
    birth_year: Annotated[int, Field(ge=1880, le=2100)] | None = None
    age: Annotated[int, Field(ge=0, le=130)] | None = Field(
        None, description="Age in years at updated_at, where the birth year is not known"
    )
    gender: Gender | None = None
    interests: Annotated[tuple[Label, ...], Field(max_length=16)] = Field(
        (), description="Categories the customer says they like"
    )
    attributes: Annotated[
        dict[Label, Annotated[str, Field(max_length=128)]], Field(max_length=16)
    ] = Field(default_factory=dict, description="Free facts: income band, home ownership …")
    marketing_consent: bool | None = Field(None, description="Null: unknown")
