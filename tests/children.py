"""Processes of ours under test: what they say, own and answer."""

import asyncio
import json
import re
import urllib.error
import urllib.request

from producers.checkout import CheckoutPublisher
from producers.replay import ReplayOptions, replay
from producers.sources import Kind
from stream_app.config import Settings
from stream_app.demo.system import Child
from tests.harness import a_shop, owners

SPEED = 1_000_000

BACKLOG = 8_000


def said(child: Child) -> str:
    return (child.folder / "log").read_text(errors="replace")


def probe(child: Child, page: str) -> tuple[int, dict[str, str]]:
    """Ask the process's own server; 0 while it does not listen."""
    found = re.search(r"http://[\d.]+:\d+", said(child))
    if not found:
        return 0, {}
    try:
        with urllib.request.urlopen(f"{found[0]}/{page}", timeout=5) as answer:  # noqa: S310
            return answer.status, json.load(answer)["checks"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["checks"]
    except OSError:
        return 0, {}


async def ready(child: Child) -> bool:
    child.check()
    return (await asyncio.to_thread(probe, child, "readyz"))[0] == 200


async def owned_by(settings: Settings, child: Child) -> bool:
    return any(owner.startswith(f"{child.pid}-") for owner in await owners(settings))


def backlog(settings: Settings) -> None:
    topics: dict[Kind, str] = {
        "purchase": settings.topic_purchases,
        "profile": settings.topic_profiles,
    }
    address, idempotence = settings.kafka_broker, settings.idempotence
    with CheckoutPublisher(address, idempotence=idempotence) as publisher:
        totals = replay(a_shop(customers=600, days=600), publisher, ReplayOptions(topics=topics))
    assert totals.sent > BACKLOG
