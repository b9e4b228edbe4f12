"""Hostile records, drawn from a source of randomness: valid ones, spoiled in fields, bytes or key.

The same draw makes the records of the seeded run, of hypothesis (which shrinks it) and of the
coverage-guided run. A few come out valid: what is nearly wrong must be decoded rightly too.
"""

import json
from collections.abc import Callable
from random import Random

from tests.builders import LIMITS, PROFILES, PURCHASES, START, ARecord, day
from tests.fuzz.material import HEADERS, KEYS, NUMBERS, STAMPS, TEXTS, TIMES, TOKENS

CUSTOMER = "ann"
Topical = tuple[str, ARecord]
Fields = list[tuple[str, str]]

_item = {"sku": "A-1", "category": "tea", "quantity": 2, "unit_price": 1.5}
_bodies: dict[str, dict[str, object]] = {
    PURCHASES: {
        "schema_version": 1,
        "event_id": "e1",
        "customer_id": CUSTOMER,
        "occurred_at": START.isoformat(),
        "type": "purchase",
        "currency": "EUR",
        "total": 20.5,
        "discount": 1,
        "channel": "web",
        "items": [_item, {"category": "jam"}],
    },
    PROFILES: {
        "schema_version": 1,
        "customer_id": CUSTOMER,
        "updated_at": START.isoformat(),
        "birth_year": 1980,
        "age": 45,
        "gender": "female",
        "interests": ["tea", "jam"],
        "attributes": {"income": "50K"},
        "marketing_consent": True,
    },
}
SEEDS: dict[str, bytes] = {topic: json.dumps(body).encode() for topic, body in _bodies.items()}


def hostile(random: Random, offset: int = 0) -> Topical:
    """Draw a record and its topic."""
    topic = random.choice((PURCHASES, PROFILES))
    fields = [(name, json.dumps(value)) for name, value in _bodies[topic].items()]
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        random.choice(FIELD_MUTATIONS)(random, fields)
    value: bytes | None = _rendered(fields)
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        value = random.choice(BYTE_MUTATIONS)(random, value or b"")
    if random.random() < 0.02:
        value = random.choice((None, b""))
    key = random.choice(KEYS) if random.random() < 0.2 else CUSTOMER.encode()
    stamp = random.choice(STAMPS) if random.random() < 0.2 else day(0)
    headers = random.choice(HEADERS) if random.random() < 0.2 else ()
    return topic, ARecord(offset, key, value, stamp, headers)


def mutated(random: Random, value: bytes) -> bytes:
    """Spoil bytes a little more."""
    return random.choice(BYTE_MUTATIONS)(random, value)


def _rendered(fields: Fields) -> bytes:
    body = ", ".join(f"{json.dumps(name)}: {token}" for name, token in fields)
    return f"{{{body}}}".encode("utf-8", "surrogatepass")


def _replace(random: Random, fields: Fields) -> None:
    if fields:
        at = random.randrange(len(fields))
        fields[at] = (fields[at][0], random.choice(TOKENS))


def _aim(random: Random, fields: Fields) -> None:
    """Put in something of the right kind that may be beyond a limit."""
    if fields:
        at = random.randrange(len(fields))
        name, token = fields[at]
        texts = TIMES if name.endswith("_at") else TEXTS
        aimed = json.dumps(random.choice(texts)) if token[:1] == '"' else random.choice(NUMBERS)
        fields[at] = (name, aimed)


def _remove(random: Random, fields: Fields) -> None:
    if fields:
        fields.pop(random.randrange(len(fields)))


def _double(random: Random, fields: Fields) -> None:
    if fields:
        name, token = random.choice(fields)
        fields.append((name, random.choice((token, random.choice(TOKENS)))))


def _add_unknown(random: Random, fields: Fields) -> None:
    name = random.choice(("extra", "", "TOTAL", "tot\u0430l", "__proto__", "n" * 30_000))
    fields.insert(random.randrange(len(fields) + 1), (name, random.choice(TOKENS)))


def _exchange(random: Random, fields: Fields) -> None:
    if fields:
        one, other = random.randrange(len(fields)), random.randrange(len(fields))
        fields[one] = (fields[one][0], fields[other][1])


def _truncate(random: Random, value: bytes) -> bytes:
    return value[: random.randint(0, len(value))]


def _flip(random: Random, value: bytes) -> bytes:
    at = random.randint(0, len(value))
    return value[:at] + bytes([random.randrange(256)]) + value[at + 1 :]


def _insert(random: Random, value: bytes) -> bytes:
    at = random.randint(0, len(value))
    return value[:at] + random.randbytes(random.randint(1, 8)) + value[at:]


def _repeat(random: Random, value: bytes) -> bytes:
    start = random.randint(0, len(value))
    end = min(len(value), start + random.randint(1, 40))
    return value[:end] + value[start:end] * random.choice((1, 2, 50)) + value[end:]


def _token(random: Random, value: bytes) -> bytes:
    at = random.randint(0, len(value))
    return value[:at] + random.choice(TOKENS).encode("utf-8", "surrogatepass") + value[at:]


def _noise(random: Random, value: bytes) -> bytes:
    return random.randbytes(min(len(value), random.choice((1, 16, 200))))


def _nest(random: Random, value: bytes) -> bytes:
    depth = random.choice((1, 199, 5_000))
    before, after = random.choice(((b"[", b"]"), (b'{"items":', b"}"), (b'{"x":[', b"]}")))
    return before * depth + value + after * depth


def _recode(random: Random, value: bytes) -> bytes:
    text = value.decode("utf-8", "replace")
    return text.encode(random.choice(("utf-16", "utf-8-sig", "utf-7", "utf-32")))


def _pad(random: Random, value: bytes) -> bytes:
    """Fill up to the size limit, one below it, one above it or far above."""
    size = random.choice((-1, 0, 1, 900_000)) + LIMITS.max_bytes
    return value + b" " * (size - len(value))


FIELD_MUTATIONS: tuple[Callable[[Random, Fields], None], ...] = (
    _replace,
    _replace,
    _aim,
    _aim,
    _remove,
    _double,
    _add_unknown,
    _exchange,
)
BYTE_MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _truncate,
    _flip,
    _insert,
    _repeat,
    _token,
    _noise,
    _nest,
    _recode,
    _pad,
)
