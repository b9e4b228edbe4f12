"""The contracts: every message that enters or leaves the system.

In:  ``Purchase`` (topic ``purchases``) and ``Profile`` (topic ``profiles``).
Out: ``SegmentChanged`` (``segment-changes``), ``DeadLetter`` (``dead-letters``) and
``ModelSnapshot`` and ``ModelNotice`` (``segment-models``).

Unknown fields of incoming messages are ignored, so a shop may add its own; everything that
leaves is closed. ``segmenter schema`` writes these classes as JSON Schema and AsyncAPI.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:@+=/-]+$"),
    Field(description="1 to 128 characters: ASCII letters, digits and _ . : @ + = / -"),
]
Label = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
    ),
    Field(description="1 to 64 characters, not blank, no control characters"),
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


_aware: TypeAdapter[datetime] = TypeAdapter(Annotated[AwareDatetime, Strict()])


def _dated(value: object, info: ValidationInfo) -> object:
    """Read a date; refuse a bare number in quotes: 20260101 would be seconds since 1970."""
    if info.mode != "json" or not isinstance(value, str):
        return value
    if re.fullmatch(r"[+-]?[\d.]*", value):
        raise PydanticCustomError("moment", "write it as in 2026-01-31T12:00:00Z, not as a number")
    return _aware.validate_strings(value)


Moment = Annotated[AwareDatetime, BeforeValidator(_dated)]


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Item(_In):
    """One line of a basket."""

    sku: Annotated[str, Field(max_length=128)] = Field("", description="The shop's article number")
    category: Label | None = Field(None, description="Where the customer's interests come from")
    quantity: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 1.0
    unit_price: Amount = Field(0.0, description="Price of one, in the purchase's currency")


class Purchase(_In):
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


class Profile(_In):
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


class Reason(StrEnum):
    """Why a customer is in another segment now."""

    INITIAL = "initial"
    PURCHASE = "purchase"
    REFUND = "refund"
    PROFILE = "profile"
    LAPSE = "lapse"
    MODEL = "model"


class SegmentRef(_Out):
    """A segment as a customer is told to be in it: a lasting id and its name at that time."""

    id: int
    name: str


class Driver(_Out):
    """One feature that moved the customer, in the user's units."""

    feature: str
    unit: str
    before: float | None = Field(description="Before this move; null on the first assignment")
    after: float
    typical: float = Field(description="Median of the new segment")


class Facts(_Out):
    """The customer at the moment of the move. Money in the base currency."""

    recency_days: float = Field(description="Days since the last purchase")
    orders: int = Field(description="Purchases ever")
    spend: float = Field(description="Paid ever, refunds not subtracted")
    average_basket: float
    top_categories: tuple[str, ...] = Field((), description="Up to 3, by recent spend")


class NextChange(_Out):
    """Where silence alone will take the customer, and when."""

    at: AwareDatetime
    segment: SegmentRef


class Source(_Out):
    """The record that caused the move; null offset for a lapse or a new model."""

    topic: str
    partition: int
    offset: int | None = None
    published_at: AwareDatetime | None = None


class SegmentChanged(_Out):
    """A customer moved. Key: ``customer_id``.

    ``previous`` equals ``current`` of the customer's former event and ``sequence`` has no holes.
    A consumer that keeps the greatest (epoch, sequence) per customer sees each move once.
    """

    schema_version: Literal[1] = 1
    id: str = Field(description="Stable: the same move published twice has the same id")
    customer_id: str
    epoch: int = Field(ge=0, description="Ownership epoch of the partition that decided")
    sequence: int = Field(ge=1, description="Per customer, +1 with each move")
    previous: SegmentRef | None = Field(description="Null on the first assignment")
    current: SegmentRef
    reason: Reason
    occurred_at: AwareDatetime = Field(description="When the customer was judged; of a lapse: due")
    emitted_at: AwareDatetime = Field(description="When the move was decided, wall clock")
    model_version: int
    margin: float = Field(
        ge=0, le=1, description="How much nearer the new centre is: 0 no, 1 all the way"
    )
    drivers: tuple[Driver, ...] = Field(max_length=3)
    facts: Facts
    next_change: NextChange | None = Field(description="What silence alone will do; null: nothing")
    source: Source
    replay: bool = Field(description="True while history is replayed: do not act on it")


class RejectReason(StrEnum):
    """Why a record went to the dead letters."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    NOT_JSON = "not-json"
    INVALID = "invalid"
    KEY_MISMATCH = "key-mismatch"
    UNKNOWN_CURRENCY = "unknown-currency"
    IN_THE_FUTURE = "in-the-future"
    TOO_OLD = "too-old"
    HANDLER_ERROR = "handler-error"
    GAP = "gap"


class DeadLetter(_Out):
    """A refused record: its key, value and headers untouched, these facts as ``dlq-*`` headers."""

    reason: RejectReason
    detail: str = Field(description="What is wrong and what to do, for the sender's developer")
    topic: str
    partition: int
    offset: int
    failed_at: AwareDatetime


class Scaling(_Out):
    """How natural units become coordinates: ``clip((f(x) - centre) / scale) * weight``."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    clip: float


class Segment(_Out):
    """One learned segment."""

    id: int = Field(description="Never reused")
    name: str
    share: float = Field(ge=0, le=1, description="Part of the sampled population")
    profile: dict[str, float] = Field(description="Median of each feature, in the user's units")


class SegmentFate(_Out):
    """What became of segments between two versions."""

    kind: Literal["kept", "born", "died", "split", "merged"]
    old: tuple[int, ...]
    new: tuple[int, ...]


class SegmentRename(_Out):
    """A segment that goes on under another name."""

    id: int
    old: str
    new: str


class Training(_Out):
    """Facts about how a snapshot came to be."""

    cause: Literal["warm-up", "drift", "reseed", "rollback", "rehearsal", "rename"]
    samples: int = Field(description="Vectors learned from so far")
    customers: int = Field(description="Distinct customers in the reservoir")
    counts: tuple[float, ...] = Field(description="Effective weight per centre")
    inertia_ratio: float | None = Field(description="Online inertia ÷ batch inertia, last guard")
    silhouette: dict[int, float] = Field(
        default_factory=dict, description="Mean silhouette by number of segments, of `k auto`"
    )
    stability: dict[int, float] = Field(
        default_factory=dict, description="Agreement of resamples by number of segments: 1 always"
    )
    next_segment_id: int


class ModelSnapshot(_Out):
    """An immutable, numbered model. Topic ``segment-models``, key: the version.

    ``centres`` has one row per segment, in the order of ``segments``; one column per name in
    ``features``; scaled coordinates (no unit).
    """

    schema_version: Literal[1] = 1
    version: int = Field(ge=1)
    feature_set: str
    features: tuple[str, ...]
    scaling: Scaling
    centres: tuple[tuple[float, ...], ...]
    segments: tuple[Segment, ...]
    fates: tuple[SegmentFate, ...] = ()
    renames: tuple[SegmentRename, ...] = Field((), description="Against the version before")
    training: Training
    event_time: AwareDatetime
    created_at: AwareDatetime


class ModelNotice(_Out):
    """The trainer stopped publishing models, or goes on. Topic ``segment-models``, key "notice".

    The newest holds; ``version`` goes on serving while learning is frozen.
    """

    schema_version: Literal[1] = 1
    kind: Literal["frozen", "thawed"]
    reason: str = Field(description="What is beyond its limit; what was, when thawed")
    value: float = Field(description="The measure when learning froze")
    limit: float
    version: int = Field(description="The version that serves")
    event_time: AwareDatetime


class SampledCustomer(_Out):
    """A stored customer, drawn uniformly, with features in natural units."""

    customer_id: str
    vector: tuple[float, ...]


class PopulationSample(_Out):
    """What the trainer learns from. Topic ``feature-vectors``."""

    schema_version: Literal[1] = 1
    feature_set: str
    partition: int
    population: int = Field(description="Customers stored in this partition")
    event_time: AwareDatetime
    customers: tuple[SampledCustomer, ...]
