"""The contracts as documents: a JSON Schema for each, and one AsyncAPI 3.0 description.

Pure: contracts and default settings go in, plain JSON values come out. What comes in is described
as it is accepted (a field with a default may be left out), what goes out as it is sent (every
field is there). ``segmenter schema`` writes the files.
"""

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
from stream_app.core.messages import EVENT_TYPE
from stream_app.schema_examples import examples

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
