"""Bytes in, facts out: decoding with the limits checked before anything is parsed.

A bad record is a value (`Rejected`), never an exception: it goes to the dead letters with a
reason its sender can act on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from stream_app.contracts import Id, Profile, Purchase, RejectReason
from stream_app.core.folds import MICROS, Order, ProfileState
from stream_app.core.reading import Reader

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

_id: TypeAdapter[str] = TypeAdapter(Id)
_read_purchase = Reader(Purchase).read

Contract = TypeVar("Contract", bound=BaseModel)


class Record(Protocol):
    """A Kafka record, as much of it as decoding needs. ``timestamp`` in ms."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...  # noqa: D102


class ProfileUpdate(NamedTuple):
    """A valid profile."""

    customer_id: str
    profile: ProfileState


class Erasure(NamedTuple):
    """The customer asked to be forgotten (null value on the profiles topic)."""

    customer_id: str


class Rejected(NamedTuple):
    """A record that must not be counted: why, and what its sender can do."""

    reason: RejectReason
    detail: str


Event = Order | ProfileUpdate | Erasure | Rejected


@dataclass(frozen=True, slots=True)
class Limits:
    """What a record may be: size in bytes, times in ms, and the currencies with their rates."""

    max_bytes: int
    max_skew: int
    oldest: int
    rates: Mapping[str, float]


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime.

    >>> to_ms(datetime(1970, 1, 2, tzinfo=UTC))
    86400000
    """
    return (moment - EPOCH) // MILLISECOND


def to_datetime(ms: int) -> datetime:
    """Aware UTC datetime of milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=ms)


def decode_purchase(record: Record, limits: Limits, wall: int) -> Order | Rejected:
    """Decode a record of the purchases topic; ``wall`` is the present in ms."""
    purchase = _parse(_read_purchase, record, limits)
    if isinstance(purchase, Rejected):
        return purchase
    at = to_ms(purchase.occurred_at)
    wrong = _check_key(record, purchase.customer_id) or _check_time(
        purchase.occurred_at, at, limits, wall
    )
    if wrong:
        return wrong
    rate = limits.rates.get(purchase.currency)
    if rate is None:
        return Rejected(
            RejectReason.UNKNOWN_CURRENCY,
            f"no rate for currency {purchase.currency}; known: {', '.join(sorted(limits.rates))} "
            "(SEGMENTER_RATES adds one)",
        )
    return Order(
        purchase.event_id,
        purchase.customer_id,
        at,
        purchase.type == "refund",
        round(purchase.total * rate * MICROS),
        round(purchase.discount * rate * MICROS),
        len(purchase.items),
        _categories(purchase, rate),
        purchase.channel.strip() if purchase.channel else None,
    )


def _categories(purchase: Purchase, rate: float) -> tuple[tuple[str, int], ...]:
    """Micros per category, in order of first appearance."""
    sums: dict[str, int] = {}
    for item in purchase.items:
        if item.category is not None:
            amount = round(item.quantity * item.unit_price * rate * MICROS)
            name = item.category.strip()
            sums[name] = sums.get(name, 0) + amount
    return tuple(sums.items())


def decode_profile(record: Record, limits: Limits, wall: int) -> ProfileUpdate | Erasure | Rejected:
    """Decode a record of the profiles topic; a null value is an erasure."""
    if record.value is None:
        return _erasure(record)
    profile = _parse(Profile.model_validate_json, record, limits)
    if isinstance(profile, Rejected):
        return profile
    updated = to_ms(profile.updated_at)
    wrong = _check_key(record, profile.customer_id) or _check_time(
        profile.updated_at, updated, limits, wall
    )
    if wrong:
        return wrong
    born = profile.birth_year
    if born is None and profile.age is not None:
        born = profile.updated_at.year - profile.age
    return ProfileUpdate(
        profile.customer_id,
        ProfileState(
            updated=updated,
            birth_year=born,
            gender=profile.gender.value if profile.gender else None,
            interests=tuple(interest.strip() for interest in profile.interests),
            attributes=profile.attributes,
            consent=profile.marketing_consent,
        ),
    )


def _erasure(record: Record) -> Erasure | Rejected:
    try:
        return Erasure(_id.validate_python((record.key or b"").decode()))
    except ValueError:
        return Rejected(
            RejectReason.KEY_MISMATCH,
            "an erasure (null value) needs the customer_id as its key: 1 to 128 characters, "
            "ASCII letters, digits and _ . : @ + = / -",
        )


def _parse(
    reader: Callable[[bytes], Contract], record: Record, limits: Limits
) -> Contract | Rejected:
    value = record.value
    if not value:
        return Rejected(RejectReason.EMPTY, "the record has no value")
    if len(value) > limits.max_bytes:
        return Rejected(
            RejectReason.TOO_LARGE,
            f"{len(value):,} bytes; at most {limits.max_bytes:,} are read "
            "(SEGMENTER_MAX_EVENT_BYTES)",
        )
    try:
        return reader(value)
    except ValidationError as error:
        return _explain(error)


def _explain(error: ValidationError) -> Rejected:
    """Name the first field that is wrong, and how many more there are."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return Rejected(RejectReason.NOT_JSON, first["msg"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    where = ".".join(str(part) for part in first["loc"])[:200] or "the value"
    return Rejected(RejectReason.INVALID, f"{where}: {first['msg']}{more}")


def _check_key(record: Record, customer_id: str) -> Rejected | None:
    if record.key == customer_id.encode():
        return None
    found = "missing" if record.key is None else repr(record.key[:64].decode("utf-8", "replace"))
    return Rejected(
        RejectReason.KEY_MISMATCH,
        f"the message key must be the customer_id {customer_id!r}; it is {found}",
    )


def _check_time(moment: datetime, at: int, limits: Limits, wall: int) -> Rejected | None:
    if at > wall + limits.max_skew:
        return Rejected(
            RejectReason.IN_THE_FUTURE,
            f"{moment.isoformat()} is later than now by more than the allowed "
            f"{limits.max_skew / 1000:g} s (SEGMENTER_MAX_SKEW_SECONDS)",
        )
    if at < limits.oldest:
        return Rejected(
            RejectReason.TOO_OLD,
            f"{moment.isoformat()} is before {to_datetime(limits.oldest).date()} "
            "(SEGMENTER_OLDEST_EVENT)",
        )
    return None
