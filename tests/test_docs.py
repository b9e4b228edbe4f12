"""The documents name everything a user can set, run, read or meet, and nothing else."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from kafka import KafkaConsumer
from prometheus_client.metrics import MetricWrapperBase
from typer.core import TyperGroup
from typer.main import get_command

from producers import terminal
from stream_app import bootstrap, cli
from stream_app.adapters.ages import Ages
from stream_app.adapters.kafka_topics import DAY_MS, HOUR_MS, _wanted, ensure_topics
from stream_app.adapters.metrics import Metrics
from stream_app.cli import app, ask
from stream_app.cli.demo import EXIT_UNVERIFIED
from stream_app.config import Settings, env_name, environment, load
from stream_app.contracts import Purchase, Reason, RejectReason, SegmentChanged
from stream_app.core.features import OPTIONAL, Feature, FeatureSet
from stream_app.core.segments import VOCABULARY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}
DOCUMENTS["CHANGELOG.md"] = (ROOT / "CHANGELOG.md").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
DEFAULTS = environment(Settings.model_construct())
MEANINGS = {env_name(name): info.description for name, info in Settings.model_fields.items()}
UNFORESEEN, INTERRUPTED = 1, 130


def table(first: str) -> dict[str, list[str]]:
    """Rows of the README's only table whose first heading is ``first``, by their first cell."""
    pattern = rf"^\| {re.escape(first)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)"
    (body,) = re.findall(pattern, README, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()]
    return {row[0].strip("` "): row[1:] for row in rows}


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def mentioned(pattern: str) -> set[str]:
    return {found for text in DOCUMENTS.values() for found in re.findall(pattern, text)}


def options(command: Any) -> set[str]:
    """Options of a command and, where it is a group, of everything in it."""
    found = {"--help"} | {option for param in command.params for option in param.opts}
    parts = command.commands.values() if isinstance(command, TyperGroup) else ()
    return found.union(*map(options, parts))


def commands() -> dict[str, set[str]]:
    """Every command of ``segmenter`` with its options."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return {name: options(command) for name, command in group.commands.items()}


COMMANDS = commands()


def test_the_table_of_settings_is_what_the_code_says() -> None:
    expected = {
        name: [f"`{DEFAULTS[name]}`" if DEFAULTS[name] else "empty", meaning]
        for name, meaning in MEANINGS.items()
    }

    assert table("variable") == expected


def test_every_variable_mentioned_exists() -> None:
    compose_only = {"SEGMENTER_"}  # the prefix itself

    assert mentioned(r"SEGMENTER_[A-Z_]*") - compose_only <= set(MEANINGS)


def test_the_example_environment_lists_every_setting_with_its_default_and_meaning() -> None:
    listed = re.findall(r"^# (.*)\n#([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE)

    assert [(name, value) for _, name, value in listed] == list(DEFAULTS.items())
    assert {name: meaning for meaning, name, _ in listed} == MEANINGS


def test_the_example_environment_is_accepted_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in MEANINGS:
        monkeypatch.delenv(name, raising=False)
    defaults = load()

    for name, value in re.findall(r"^#([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE):
        monkeypatch.setenv(name, value)

    assert load() == defaults


def test_the_table_of_metrics_is_what_the_code_says() -> None:
    found = list(Metrics().registry._collector_to_names)
    expected = {
        metric._name + ("_total" if metric._type == "counter" else ""): [
            metric._type,
            ", ".join(metric._labelnames),
            metric._documentation,
        ]
        for metric in found
        if isinstance(metric, MetricWrapperBase)
    }
    families = (family for each in found if isinstance(each, Ages) for family in each.collect())
    expected |= {family.name: [family.type, "", family.documentation] for family in families}

    assert len(expected) > 1
    assert table("metric") == expected


def test_every_metric_mentioned_exists() -> None:
    assert mentioned(r"`(segmenter_\w+)`") <= set(table("metric"))


def test_the_table_of_topics_is_what_is_created() -> None:
    spans = {None: "", str(30 * DAY_MS): ", 30 days", str(HOUR_MS): ", 1 hour"}
    expected = {
        topic.name: (
            str(topic.num_partitions),
            topic.topic_configs["cleanup.policy"] + spans[topic.topic_configs.get("retention.ms")],
        )
        for topic in _wanted(Settings.model_construct())
    }

    assert {name: (row[0], row[2]) for name, row in table("topic").items()} == expected


def test_every_command_is_listed_and_no_other() -> None:
    assert set(table("command")) == {f"segmenter {name}" for name in COMMANDS}


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


def test_every_reason_of_a_refusal_is_explained() -> None:
    assert set(table("`dlq-reason`")) == set(RejectReason)


def test_every_reason_of_a_move_is_explained() -> None:
    assert set(table("`reason`")) == set(Reason)


def test_every_exit_code_is_explained() -> None:
    codes = {
        0,
        ask.EXIT_UNKNOWN,
        bootstrap.EXIT_CONFIG,
        bootstrap.EXIT_FLOOD,
        bootstrap.EXIT_SOFTWARE,
        bootstrap.EXIT_STALLED,
        bootstrap.EXIT_SWITCHED,
        cli.EXIT_CONFIG,
        cli.EXIT_FLOOD,
        EXIT_UNVERIFIED,
        terminal.FAILED,
        terminal.STOPPED,
        terminal.WRONG_USE,
        UNFORESEEN,
        INTERRUPTED,
    }

    assert set(table("code")) == set(map(str, codes))


def transform(feature: Feature) -> str:
    if feature.transform == "linear":
        return "linear"
    return "log(1 + x)" if feature.knee == 1 else f"log(1 + x / {feature.knee:g})"


def test_the_table_of_coordinates_is_what_the_code_says() -> None:
    expected = {
        f.name: [f.unit, transform(f), f"{f.weight:g}"]
        for f in FeatureSet.build(60.0, tuple(OPTIONAL)).features
    }

    assert {name: row[:3] for name, row in table("coordinate").items()} == expected


def test_every_segment_name_is_listed() -> None:
    (listed,) = re.findall(r"^- \*\*Names\*\* .*?: (.*?)\.", README, re.MULTILINE)

    assert listed.split(", ") == list(VOCABULARY)


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
