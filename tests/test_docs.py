"""The tables of the documents say what the code says."""

import re

import pytest
from prometheus_client.metrics import MetricWrapperBase

from producers import terminal
from stream_app import bootstrap, cli
from stream_app.adapters.ages import Ages
from stream_app.adapters.kafka_topics import DAY_MS, HOUR_MS, _wanted
from stream_app.adapters.metrics import Metrics
from stream_app.cli import ask
from stream_app.cli.demo import EXIT_UNVERIFIED
from stream_app.config import Settings, env_name, environment, load
from stream_app.contracts import Reason, RejectReason
from stream_app.core.features import OPTIONAL, Feature, FeatureSet
from stream_app.core.segments import VOCABULARY
from tests.documents import COMMANDS, README, ROOT, mentioned, table

ENV_EXAMPLE = (ROOT / ".env.example").read_text()

DEFAULTS = environment(Settings.model_construct())

MEANINGS = {env_name(name): info.description for name, info in Settings.model_fields.items()}

UNFORESEEN, INTERRUPTED = 1, 130


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
