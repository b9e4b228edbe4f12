"""What the documents show works: commands, options, snippets, links, the picture."""

import ast
import importlib
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from kafka import KafkaConsumer

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.config import Settings
from stream_app.contracts import Purchase, SegmentChanged
from tests.documents import COMMANDS, DOCUMENTS, README, ROOT, mentioned, table


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def command_lines() -> Iterator[tuple[str, str]]:
    """Everything written as a call of ``segmenter``: command and the rest of the line."""
    text = "\n".join(DOCUMENTS.values()).replace("\\\n", " ")
    for spoken in re.findall(r"`segmenter ([^`\n]+)`", text):
        yield spoken.partition(" ")[0], spoken
    for line in re.findall(r"^(?:\$ )?segmenter (.+)$", text, re.MULTILINE):
        yield line.partition(" ")[0], line


def test_every_call_of_the_program_uses_options_that_exist() -> None:
    calls = list(command_lines())

    assert len(calls) > len(COMMANDS)
    for command, line in calls:
        assert command in COMMANDS, line
        assert set(re.findall(r"(?<= )--[a-z-]+", line)) <= COMMANDS[command], line


def test_the_options_of_the_demo_exist() -> None:
    used = re.findall(r"--[a-z-]+", " ".join(table("option")))

    assert set(used) <= COMMANDS["demo"]
    assert {"--data", "--speed", "--once", "--report", "--workers"} <= set(used)


def test_every_make_target_mentioned_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))

    wanted = mentioned(r"(?:^|\n|`)make ([a-z-]+)")
    assert {"demo", "test"} <= wanted <= targets


def test_the_example_of_a_change_is_a_valid_one() -> None:
    (example,) = fenced("json")

    change = SegmentChanged.model_validate_json(example)

    assert change.previous != change.current
    assert change.drivers
    assert change.next_change


@pytest.mark.parametrize("snippet", fenced("python"))
def test_every_python_snippet_compiles_and_finds_what_it_imports(snippet: str) -> None:
    tree = ast.parse(snippet)

    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(node.module or "")
        assert {alias.name for alias in node.names} <= set(dir(module))


@pytest.mark.integration
async def test_the_publishing_snippet_publishes_a_valid_purchase(broker: str) -> None:
    (snippet,) = (text for text in fenced("python") if "CheckoutPublisher(" in text)
    await ensure_topics(Settings(kafka_broker=broker))

    exec(snippet.replace("127.0.0.1:9092", broker), {})  # noqa: S102 - our own document

    consumer = KafkaConsumer(
        "purchases",
        bootstrap_servers=broker,
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    try:
        record = next(consumer)
    finally:
        consumer.close()
    assert record.key == b"42"
    assert Purchase.model_validate_json(record.value).total == 49.9


def links(text: str) -> list[str]:
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not t.startswith("https://")]


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    for link in links(DOCUMENTS[name]):
        path, _, anchor = link.partition("#")
        assert not path or (ROOT / path).exists(), link
        if anchor:
            assert anchor in anchors(DOCUMENTS[path or name]), link


def test_the_picture_is_a_drawing_that_loads_nothing() -> None:
    text = (ROOT / "docs/demo.svg").read_text()

    root = ET.fromstring(text)  # noqa: S314 - our own file

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert set(re.findall(r"https?://[^\"' )]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in text
    assert "@import" not in text
