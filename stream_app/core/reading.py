"""Contracts read fast: what is plainly as a contract has it need not pass through pydantic.

A `Reader` derives a msgspec type from the JSON Schema of a contract and reads with that. Whatever
that type does not take is read by the contract itself, which alone refuses anything and says why:
unknown fields, other ways to write a moment, everything that is wrong. So there is one definition,
and the derived type may only be narrower.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

import msgspec
from pydantic import BaseModel

Contract = TypeVar("Contract", bound=BaseModel)
Check = Callable[[str], object]

LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "minLength": "min_length",
    "maxLength": "max_length",
    "maxItems": "max_length",
}
PLAIN = {"string": str, "number": float, "integer": int, "boolean": bool}
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
).fullmatch


class Reader(Generic[Contract]):
    """Reads the JSON of one contract.

    >>> from stream_app.contracts import Purchase
    >>> facts = '"event_id": "o-1", "customer_id": "42", "occurred_at": "2026-01-05T10:00:00Z"'
    >>> Reader(Purchase).read(f'{{{facts}, "total": 19.9}}'.encode()).total
    19.9
    """

    def __init__(self, contract: type[Contract]) -> None:
        self._contract = contract
        schema = contract.model_json_schema()
        self._shape = _Shape(contract.__name__, schema, schema.get("$defs", {}))
        self._decode = msgspec.json.Decoder(self._shape.struct).decode

    def read(self, value: bytes) -> Contract:
        """Return the contract, or what has its fields; pydantic's ValidationError if it is none."""
        return self.quick(value) or self._contract.model_validate_json(value)

    def quick(self, value: bytes) -> Contract | None:
        """Read what is plainly right; None leaves it to the contract."""
        try:
            found = self._decode(value)
            fits = self._shape.fits(found)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return None
        return cast("Contract", found) if fits else None


class _Shape:
    """The msgspec type of one object of a schema, and what is left to check of its values."""

    def __init__(self, name: str, schema: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        self._known = known
        self._checks: list[tuple[str, Check]] = []
        self._moments: list[str] = []
        self._lists: list[tuple[str, list[tuple[str, Check]]]] = []
        required = schema.get("required", ())
        fields: list[Any] = []
        for field, part in schema["properties"].items():
            kind = self._type(field, part, repeated=field not in required)
            default = tuple(part["default"]) if part.get("type") == "array" else part.get("default")
            fields.append((field, kind) if field in required else (field, kind, default))
        self.struct = msgspec.defstruct(
            name, fields, kw_only=True, gc=False, forbid_unknown_fields=True
        )

    def _type(self, field: str, part: Mapping[str, Any], *, repeated: bool) -> Any:
        """Translate a field of the schema; TypeError for what there is no translation for."""
        if "anyOf" in part:
            one, nothing = part["anyOf"]
            if nothing != {"type": "null"}:
                raise TypeError(f"{field}: only one type or null can be read fast")
            return self._type(field, one, repeated=repeated) | None
        if "const" in part:
            return Literal[part["const"]]
        if "enum" in part:
            return Literal[tuple(part["enum"])]
        kind = self._list(field, part) if part["type"] == "array" else PLAIN[part["type"]]
        if part.get("format") == "date-time":
            self._moments.append(field)
        if "pattern" in part:
            fullmatch = re.compile(part["pattern"].replace("$", r"\Z")).fullmatch
            # Few values come again and again where a field says what kind of thing this is.
            self._checks.append((field, lru_cache(4096)(fullmatch) if repeated else fullmatch))
        limits = {ours: part[theirs] for theirs, ours in LIMITS.items() if theirs in part}
        return Annotated[kind, msgspec.Meta(**limits)] if limits else kind

    def _list(self, field: str, part: Mapping[str, Any]) -> Any:
        name = part["items"]["$ref"].rpartition("/")[2]
        shape = _Shape(name, self._known[name], self._known)
        if shape._moments or shape._lists:
            raise TypeError(f"{field}: only lists of plain objects can be read fast")
        self._lists.append((field, shape._checks))
        return tuple[shape.struct, ...]  # type: ignore[name-defined]

    def fits(self, found: Any) -> bool:
        """Check texts against their patterns; make moments of those that have the usual form."""
        for field, check in self._checks:
            text = getattr(found, field)
            if text is not None and not check(text):
                return False
        for field in self._moments:
            text = getattr(found, field)
            if not MOMENT(text):
                return False
            setattr(found, field, datetime.fromisoformat(text))
        return all(_fit(getattr(found, field), checks) for field, checks in self._lists)


def _fit(items: Iterable[object], checks: Sequence[tuple[str, Check]]) -> bool:
    for field, check in checks:
        for one in items:
            text = getattr(one, field)
            if text is not None and not check(text):
                return False
    return True
