"""Dead letters are listed, narrowed and shown as an operator sees them."""

import asyncio
import json
from collections.abc import Callable

import pytest

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.config import ClockMode, ConfigError, Settings
from stream_app.core.messages import Outgoing
from tests.harness import small_settings
from tests.letters import command, fill, in_pounds, letter, listed, publish, states

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    found = small_settings(broker, redis_url, unique("letters"), clock=ClockMode.WALL)
    asyncio.run(ensure_topics(found))
    return found


def test_an_empty_topic_and_a_missing_one_are_said_to_be_empty(
    settings: Settings, unique: Callable[[str], str]
) -> None:
    for topic in (settings.topic_dead_letters, unique("missing")):
        answer = command(settings.model_copy(update={"topic_dead_letters": topic}), "list")

        assert answer.exit_code == 0
        assert answer.stderr == "there are no dead letters\n"
    assert command(settings, "replay", "--all").stderr == "nothing to do\n"


def test_the_list_counts_by_reason_and_shows_the_latest_once_each(settings: Settings) -> None:
    fill(settings)

    answer = command(settings, "list", "--last", "2")
    found = listed(settings)

    counts = {row["reason"]: (row["letters"], row["open"]) for row in found["reasons"]}
    assert counts == {"unknown-currency": (3, 3), "not-json": (1, 1)}
    assert [row["id"] for row in found["letters"]] == [letter(settings, n) for n in range(4)]
    assert found["letters"][1]["key"] == "c1"
    assert answer.exit_code == 0
    assert letter(settings, 3) in answer.stdout
    assert letter(settings, 1) not in answer.stdout
    assert "no rate for currency GBP" in answer.stdout


def test_the_list_is_narrowed_by_reason_and_by_time(settings: Settings) -> None:
    fill(settings)

    assert len(listed(settings, "--since", "2h")["letters"]) == 3
    assert len(listed(settings, "--reason", "not-json")["letters"]) == 1
    none = command(settings, "list", "--reason", "not-json", "--since", "1d")
    assert none.stderr == "there are no dead letters of that kind\n"
    assert command(settings, "list", "--since", "lately").exit_code == 2


def test_records_that_are_no_letters_are_counted_and_harm_nothing(settings: Settings) -> None:
    fill(settings)
    publish(settings, Outgoing(settings.topic_dead_letters, None, b"?", (("dlq-reason", b"?"),)))

    answer = command(settings, "list")

    assert answer.exit_code == 0
    assert "1 further records" in answer.stderr


def test_one_letter_is_shown_with_its_bytes_headers_and_what_became_of_it(
    settings: Settings,
) -> None:
    fill(settings)

    text = command(settings, "show", letter(settings, 2)).stdout
    whole = json.loads(command(settings, "show", letter(settings, 2), "--json").stdout)
    broken = command(settings, "show", letter(settings, 0)).stdout

    assert '  "currency": "GBP"' in text
    assert "header trace: 0x00ff" in text
    assert "state: open" in text
    assert whole["value"].encode() == in_pounds(2)
    assert whole["headers"] == [["trace", "base64:AP8="]]
    assert "{\\x1b" in broken
    assert "\x1b" not in broken


def test_an_unknown_letter_is_refused_with_code_one_and_nothing_is_sent(
    settings: Settings,
) -> None:
    fill(settings)

    for words in (["show", "x-0-1"], ["replay", letter(settings, 1), "x-0-1", "--yes"]):
        answer = command(settings, *words)

        assert answer.exit_code == 1
        assert "no dead letter" in answer.stderr
        assert "x-0-1" in answer.stderr
    assert set(states(settings).values()) == {"open"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kafka_broker": ""}, "KAFKA_BROKER is not set"),
        ({"redis_url": ""}, "REDIS_URL is not set"),
        ({"kafka_broker": "127.0.0.1:1"}, "KAFKA_BROKER: no broker answers at 127.0.0.1:1"),
        ({"redis_url": "redis://127.0.0.1:1"}, "REDIS_URL: the store does not answer"),
    ],
)
def test_a_missing_service_is_named(settings: Settings, values: dict[str, str], said: str) -> None:
    answer = command(settings.model_copy(update=values), "list")

    assert isinstance(answer.exception, ConfigError)
    assert said in str(answer.exception)
