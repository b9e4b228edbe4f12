"""The contracts as documents: a JSON Schema for each, and one AsyncAPI 3.0 description.

Pure: contracts and default settings go in, plain JSON values come out. What comes in is described
as it is accepted (a field with a default may be left out), what goes out as it is sent (every
field is there). ``segmenter schema`` writes the files.
"""

import json
import re
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from stream_app.config import Settings, env_name
from stream_app.contracts import (
    DeadLetter,
    ModelNotice,
    ModelSnapshot,
    PopulationSample,
    Profile,
    Purchase,
    SegmentChanged,
)
from stream_app.core.messages import EVENT_TYPE, change_message

SCHEMA_VERSION = 1
KAFKA_BINDING = "0.5.0"

Json = dict[str, Any]
Contract = type[BaseModel]

INCOMING: tuple[Contract, ...] = (Purchase, Profile)
OUTGOING: tuple[Contract, ...] = (
    SegmentChanged,
    DeadLetter,
    PopulationSample,
    ModelSnapshot,
    ModelNotice,
)


class _Topic(NamedTuple):
    """A channel: what it carries, which process sends and receives it, how Kafka keeps it."""

    messages: tuple[str, ...]
    sender: str
    receiver: str | None = None
    cleanup: tuple[str, ...] = ("delete",)
    partitions: int = int(Settings.model_fields["partitions"].default)
    hours: int | None = None


_CHANGES = ("SegmentChanged", "CustomerErased")
_TOPICS = {
    "purchases": _Topic(("Purchase",), "checkout", "worker"),
    "profiles": _Topic(("Profile", "ProfileErased"), "checkout", "worker", ("compact",)),
    "changes": _Topic(_CHANGES, "worker", "campaign", ("compact", "delete"), hours=30 * 24),
    "dead_letters": _Topic(("DeadLetter",), "worker", partitions=1, hours=30 * 24),
    "vectors": _Topic(("PopulationSample",), "worker", "trainer", partitions=1, hours=1),
    "models": _Topic(("ModelSnapshot", "ModelNotice"), "trainer", None, ("compact",), 1),
}

_TEXT = {"type": "string", "minLength": 1}
_CLOUDEVENTS: Json = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": _TEXT | {"description": "The change's id; the same again is a duplicate"},
    "ce_source": _TEXT | {"format": "uri-reference", "description": "/segmenter/topic/partition"},
    "ce_type": {"const": EVENT_TYPE},
    "ce_subject": _TEXT | {"description": "The customer_id"},
    "ce_time": _TEXT | {"format": "date-time", "description": "The change's occurred_at"},
    "content-type": {"const": "application/json"},
}

_EXAMPLES = r"""{
"Purchase": [{"payload": {"event_id": "o-1", "customer_id": "c-42", "total": 19.9,
   "occurred_at": "2026-01-05T10:00:00Z"}}, {"payload":
  {"schema_version": 1, "event_id": "o-2", "customer_id": "c-42", "type": "refund",
   "occurred_at": "2026-01-06T11:30:00+01:00", "currency": "EUR", "total": 8.5, "discount": 0.0,
   "channel": "web", "items": [{"category": "coffee", "quantity": 1.0, "unit_price": 8.5}]}}],
"Profile": [{"payload":
  {"schema_version": 1, "customer_id": "c-42", "updated_at": "2026-01-05T10:00:00Z",
   "birth_year": 1988, "gender": "female", "interests": ["coffee", "gardening"],
   "attributes": {"loyalty_tier": "gold"}, "marketing_consent": true}}],
"SegmentChanged": [{"payload":
  {"schema_version": 1, "id": "c-42-1767225600000-3", "customer_id": "c-42",
   "epoch": 1767225600000, "sequence": 3, "previous": {"id": 2, "name": "Hibernating"},
   "current": {"id": 1, "name": "Champions"}, "reason": "purchase",
   "occurred_at": "2026-01-05T10:00:00Z", "emitted_at": "2026-01-05T10:00:00.012000Z",
   "model_version": 7, "margin": 0.31, "drivers": [
     {"feature": "recency_days", "unit": "days", "before": 58.0, "after": 0.0, "typical": 9.0}],
   "facts": {"recency_days": 0.0, "orders": 21, "spend": 1210.44, "average_basket": 57.64,
     "top_categories": ["coffee"]}, "next_change": {
     "at": "2026-03-02T04:11:09Z", "segment": {"id": 2, "name": "Hibernating"}},
   "source": {"topic": "purchases", "partition": 3, "offset": 120934,
     "published_at": "2026-01-05T10:00:00.004000Z"}, "replay": false}}],
"ProfileErased": [{"payload": null}], "CustomerErased": [{"payload": null}],
"DeadLetter": [{"headers":
  {"dlq-reason": "invalid", "dlq-detail": "total: Input should be greater than or equal to 0",
   "dlq-topic": "purchases", "dlq-partition": "3", "dlq-offset": "120935",
   "dlq-failed-at": "2026-01-05T10:00:01Z"}, "payload":
  "{\"event_id\":\"o-3\",\"customer_id\":\"c-42\",\"occurred_at\":\"2026-01-05T10:00:00Z\",\"total\":-1}"}],
"PopulationSample": [{"payload":
  {"schema_version": 1, "feature_set": "v1-h60", "partition": 3, "population": 5180,
   "event_time": "2026-01-05T10:00:00Z", "customers": [{"customer_id": "c-42",
     "vector": [9.0, 5.2, 310.0, 57.64, 11.0, 402.0, 0.06, 0.01, 14.0]}]}}],
"ModelSnapshot": [{"payload":
  {"schema_version": 1, "version": 7, "feature_set": "v1-h60", "features": [
     "recency_days", "decayed_orders", "decayed_spend", "average_basket", "mean_gap_days",
     "tenure_days", "discount_share", "refund_share", "category_breadth"],
   "scaling": {"centre": [3.1, 1.1, 4.4, 3.6, 3.0, 5.3, 0.08, 0.01, 2.2],
     "scale": [1.6, 0.9, 1.5, 0.7, 1.0, 1.2, 0.1, 0.05, 0.8],
     "weight": [1.0, 1.0, 1.0, 0.7, 0.5, 0.5, 0.4, 0.4, 0.3], "clip": 3.0},
   "centres": [[-0.5, 0.8, 0.9, 0.2, -0.2, 0.3, -0.1, 0.0, 0.2]],
   "segments": [{"id": 1, "name": "Champions", "share": 1.0, "profile": {"recency_days": 9.0,
     "decayed_orders": 5.2, "decayed_spend": 310.0, "average_basket": 48.0, "mean_gap_days": 11.0,
     "tenure_days": 402.0, "discount_share": 0.06, "refund_share": 0.01,
     "category_breadth": 14.0}}], "fates": [{"kind": "kept", "old": [1], "new": [1]}],
   "renames": [{"id": 1, "old": "Loyal", "new": "Champions"}],
   "training": {"cause": "drift", "samples": 48210, "customers": 2000, "counts": [760.0],
     "inertia_ratio": 1.02, "silhouette": {"3": 0.41, "4": 0.37},
     "stability": {"3": 0.9, "4": 0.7}, "next_segment_id": 2},
   "event_time": "2026-01-05T09:58:00Z", "created_at": "2026-01-05T09:58:01Z"}}],
"ModelNotice": [{"payload":
  {"schema_version": 1, "kind": "frozen", "reason": "a segment holds nearly everybody",
   "value": 0.93, "limit": 0.8, "version": 7, "event_time": "2026-01-05T10:00:00Z"}}]
}"""


class _Generator(GenerateJsonSchema):
    """Leave out titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False


def file_name(contract: Contract) -> str:
    """Path of a contract's schema, from the AsyncAPI document's folder.

    >>> file_name(SegmentChanged)
    'schemas/segment-changed.json'
    """
    return f"schemas/{re.sub('(?<!^)(?=[A-Z])', '-', contract.__name__).lower()}.json"


def json_schema(contract: Contract) -> Json:
    """Describe one contract as JSON Schema, draft 2020-12."""
    schema = contract.model_json_schema(schema_generator=_Generator)
    if contract in OUTGOING:
        for part in (schema, *schema.get("$defs", {}).values()):
            if "properties" in part:
                part["required"] = list(part["properties"])
    return schema | {
        "$schema": _Generator.schema_dialect,
        "$id": f"urn:segmenter:{contract.__name__}:{SCHEMA_VERSION}",
        "description": schema["description"].split("\n\n>>>")[0],
        "x-schema-version": SCHEMA_VERSION,
    }


def asyncapi() -> Json:
    """Describe topics, messages, keys and headers, and which process sends or receives them."""
    broker = {"default": "localhost:9092", "description": "Bootstrap servers: KAFKA_BROKER"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Streaming customer segmenter",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": "Purchases in, segment changes out. Topics as they are by default.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {"host": "{broker}", "protocol": "kafka", "variables": {"broker": broker}}
        },
        "channels": {name: _channel(f"topic_{name}", topic) for name, topic in _TOPICS.items()},
        "operations": _operations(),
        "components": {"messages": _messages()},
    }


def _channel(setting: str, topic: _Topic) -> Json:
    field = Settings.model_fields[setting]
    config: Json = {"cleanup.policy": list(topic.cleanup)}
    if topic.hours:
        config["retention.ms"] = topic.hours * 3_600_000
    kafka = {"partitions": topic.partitions, "topicConfiguration": config}
    return {
        "address": field.default,
        "description": f"{field.description}. {env_name(setting)} renames it.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in topic.messages},
        "bindings": {"kafka": kafka | {"bindingVersion": KAFKA_BINDING}},
    }


def _operations() -> Json:
    return {
        f"{process}_{action}s_{name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "tags": [{"name": process}],
        }
        for name, topic in _TOPICS.items()
        for action, process in (("send", topic.sender), ("receive", topic.receiver))
        if process
    }


def _messages() -> Json:
    customer = {"$ref": f"{file_name(Purchase)}#/properties/customer_id"}
    version = {"type": "string", "pattern": "^[1-9][0-9]*$", "description": "The version"}
    original = {"type": ["string", "null"], "description": "As it was refused, byte for byte"}
    dead = {"payload": original, "headers": _dlq(), "contentType": "application/octet-stream"}
    messages = {
        "Purchase": _message(Purchase, customer),
        "Profile": _message(Profile, customer),
        "ProfileErased": _message("A null value: forget the customer.", customer),
        "SegmentChanged": _message(SegmentChanged, customer) | {"headers": _headers(_CLOUDEVENTS)},
        "CustomerErased": _message("A null value: the customer was erased.", customer),
        "DeadLetter": _message(DeadLetter, original) | dead,
        "PopulationSample": _message(PopulationSample),
        "ModelSnapshot": _message(ModelSnapshot, version),
        "ModelNotice": _message(ModelNotice, {"const": "notice"}),
    }
    return {name: m | {"examples": examples()[name]} for name, m in messages.items()}


def _message(meaning: Contract | str, key: Json | None = None) -> Json:
    kafka = {"bindingVersion": KAFKA_BINDING} | ({"key": key} if key else {})
    message: Json = {"bindings": {"kafka": kafka}}
    if isinstance(meaning, str):
        return message | {"summary": meaning, "payload": {"type": "null"}}
    summary = (meaning.__doc__ or "").split("\n", 1)[0]
    return message | {"summary": summary, "payload": {"$ref": file_name(meaning)}}


def examples() -> dict[str, list[Json]]:
    """Examples by message; the headers of a change are those the worker would send."""
    found: dict[str, list[Json]] = json.loads(_EXAMPLES)
    for example in found["SegmentChanged"]:
        sent = change_message("", SegmentChanged.model_validate(example["payload"]))
        example["headers"] = {name: (value or b"").decode() for name, value in sent.headers}
    return found


def _dlq() -> Json:
    """One header for each field of a dead letter; numbers become decimal text."""
    number = {"type": "string", "pattern": "^[0-9]+$"}
    headers = _headers(
        {
            f"dlq-{name.replace('_', '-')}": number
            if rule.get("type") == "integer"
            else {"$ref": f"{file_name(DeadLetter)}#/properties/{name}"}
            for name, rule in json_schema(DeadLetter)["properties"].items()
        }
    )
    headers["properties"]["dlq-truncated"] = number | {"description": "Full size, if it was cut"}
    return headers


def _headers(properties: Json) -> Json:
    """Kafka headers: UTF-8 text, each of them always there; others may be added."""
    return {"type": "object", "properties": properties, "required": list(properties)}
