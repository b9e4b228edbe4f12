"""What leaves: moves between segments, and refused records."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from stream_app.contracts.fields import Out


class Reason(StrEnum):
    """Why a customer is in another segment now."""

    INITIAL = "initial"
    PURCHASE = "purchase"
    REFUND = "refund"
    PROFILE = "profile"
    LAPSE = "lapse"
    MODEL = "model"


class SegmentRef(Out):
    """A segment as a customer is told to be in it: a lasting id and its name at that time."""

    id: int
    name: str


class Driver(Out):
    """One feature that moved the customer, in the user's units."""

    feature: str
    unit: str
    before: float | None = Field(description="Before this move; null on the first assignment")
    after: float
    typical: float = Field(description="Median of the new segment")


class Facts(Out):
    """The customer at the moment of the move. Money in the base currency."""

    recency_days: float = Field(description="Days since the last purchase")
    orders: int = Field(description="Purchases ever")
    spend: float = Field(description="Paid ever, refunds not subtracted")
    average_basket: float
    top_categories: tuple[str, ...] = Field((), description="Up to 3, by recent spend")


class NextChange(Out):
    """Where silence alone will take the customer, and when."""

    at: AwareDatetime
    segment: SegmentRef


class Source(Out):
    """The record that caused the move; null offset for a lapse or a new model."""

    topic: str
    partition: int
    offset: int | None = None
    published_at: AwareDatetime | None = None


class SegmentChanged(Out):
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


class DeadLetter(Out):
    """A refused record: its key, value and headers untouched, these facts as ``dlq-*`` headers."""

    reason: RejectReason
    detail: str = Field(description="What is wrong and what to do, for the sender's developer")
    topic: str
    partition: int
    offset: int
    failed_at: AwareDatetime
