"""Refused records on a broker, and the `segmenter dead-letters` commands."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from typer.testing import CliRunner, Result

from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.cli import app
from stream_app.config import Settings, environment
from stream_app.contracts import RejectReason
from stream_app.core.events import Rejected, to_ms
from stream_app.core.messages import Outgoing, dead_letter_message
from tests.builders import ARecord, purchase_json

NOW = datetime.now(UTC)

POUNDS = Rejected(RejectReason.UNKNOWN_CURRENCY, "no rate for currency GBP")

BROKEN = Rejected(RejectReason.NOT_JSON, "expected value at line 1 column 1")


def in_pounds(number: int) -> bytes:
    return purchase_json(f"c{number}", f"e{number}", currency="GBP")


def a_refusal(
    settings: Settings, offset: int, why: Rejected, value: bytes | None, days_ago: float = 0
) -> Outgoing:
    """A dead letter as a worker would write it, of partition 0 of the purchases."""
    record = ARecord(offset, f"c{offset}".encode(), value, headers=(("trace", b"\x00\xff"),))
    wall = to_ms(NOW - timedelta(days=days_ago))
    origin = (settings.topic_purchases, 0)
    return dead_letter_message(settings.topic_dead_letters, record, why, origin, wall)


def publish(settings: Settings, *messages: Outgoing) -> None:
    async def send() -> None:
        publisher = KafkaPublisher(settings)
        await publisher.publish(messages)
        await publisher.close()

    asyncio.run(send())


def fill(settings: Settings) -> None:
    """Three purchases in pounds, one of them twice in the topic, and an old one that is no JSON."""
    letters = [a_refusal(settings, n, POUNDS, in_pounds(n)) for n in (1, 2, 3)]
    publish(settings, a_refusal(settings, 0, BROKEN, b"{\x1b", days_ago=3), *letters, letters[0])


def letter(settings: Settings, offset: int) -> str:
    return f"{settings.topic_purchases}-0-{offset}"


def command(settings: Settings, *words: str, answer: str = "") -> Result:
    """Run ``segmenter dead-letters`` with these settings."""
    return CliRunner().invoke(
        app, ["dead-letters", *words], env=environment(settings), input=answer
    )


def listed(settings: Settings, *words: str) -> Any:
    return json.loads(command(settings, "list", "--json", *words).stdout)


def states(settings: Settings) -> dict[str, str]:
    return {row["id"]: row["state"] for row in listed(settings)["letters"]}
