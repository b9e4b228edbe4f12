"""Types of the settings: how each is written in an environment variable, and what is refused."""

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

OPTIONAL_FEATURES = ("age", "gender", "income", "interests")
DRIFT = {"speed", "moved", "smallest", "largest", "ratio", "calm"}
LARGEST = 1e6


def _pairs(example: str) -> Callable[[object], object]:
    """Build the reader of NAME=NUMBER,NAME=NUMBER; its error shows the example."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.split("=", 1) for pair in value.split(",") if pair.strip()]
        if any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004
            raise ValueError(f"write it as {example}")
        return {name.strip(): number.strip() for name, number in pairs}

    return read


def _positive(value: dict[str, float]) -> dict[str, float]:
    for name, number in value.items():
        if not 0 < number <= LARGEST:
            raise ValueError(f"{name} must be a positive number, not {number}")
    return value


def _limits(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name not in DRIFT:
            raise ValueError(f"unknown: {name}; known: {', '.join(sorted(DRIFT))}")
    return _positive(value)


def _rates(value: dict[str, float]) -> dict[str, float]:
    for code, rate in value.items():
        if not re.fullmatch("[A-Z]{3}", code):
            raise ValueError(f"{code!r} is no currency code: three capital letters")
        if not 0 < rate < LARGEST:
            raise ValueError(f"the rate of {code} must be a positive number, not {rate}")
    return value


def _words(value: object) -> object:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _features(value: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(value) - set(OPTIONAL_FEATURES))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(OPTIONAL_FEATURES)}")
    return tuple(f for f in OPTIONAL_FEATURES if f in value)


def _store_url(value: str) -> str:
    try:
        fine = not value or urlsplit(value).scheme in {"redis", "rediss"}
    except ValueError:
        fine = False
    if not fine:
        raise ValueError("it must be a URL that begins with redis:// or rediss://")
    return value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Numbers = Annotated[dict[str, float], NoDecode]
Rates = Annotated[Numbers, BeforeValidator(_pairs("EUR=1.08,GBP=1.27")), AfterValidator(_rates)]
Weights = Annotated[Numbers, BeforeValidator(_pairs("recency_days=1.5")), AfterValidator(_positive)]
Drift = Annotated[Numbers, BeforeValidator(_pairs("moved=0.6")), AfterValidator(_limits)]
OptionalFeatures = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_words), AfterValidator(_features)
]


def hide_password(url: str) -> str:
    """Blank out what may be secret in a URL: the password, and the query.

    >>> hide_password("rediss://app:secret@cache:6380/1?password=secret")
    'rediss://app:***@cache:6380/1?***'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    if "@" in parts.path:
        return f"{parts.scheme}://***"
    secret, at, place = parts.netloc.rpartition("@")
    user = f"{secret.partition(':')[0]}:***@" if at else ""
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{user}{place}{parts.path}{query}" if parts.scheme else url
