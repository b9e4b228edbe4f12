"""What the contracts are made of: texts, money, moments, and the two kinds of message."""

import re
from datetime import datetime
from typing import Annotated

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


class In(BaseModel):
    """A message that enters: strict in its types, open to fields of the shop's own."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Out(BaseModel):
    """A message that leaves: closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
