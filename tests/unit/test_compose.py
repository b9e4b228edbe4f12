"""The compose file names only what exists: commands, settings, files, ports."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from stream_app.config import Settings, env_name, load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "ops/Dockerfile").read_text()
KNOWN = {env_name(field) for field in Settings.model_fields}


def _with_defaults(value: object) -> str:
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def test_the_stack_runs_workers_trainer_and_replay() -> None:
    assert {name: service["command"][1] for name, service in OURS.items()} == {
        "worker": "worker",
        "trainer": "trainer",
        "replay": "replay",
    }
    assert OURS["replay"]["profiles"] == ["replay"]


@pytest.mark.parametrize("service", OURS)
def test_each_command_and_its_options_exist(service: str) -> None:
    # Imported here so that a broken command line fails these tests only.
    from stream_app.cli import app  # noqa: PLC0415

    program, name, *words = OURS[service]["command"]
    group = get_command(app)

    assert program == "segmenter"
    assert isinstance(group, TyperGroup)
    options = {option for param in group.commands[name].params for option in param.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("service", OURS)
def test_the_settings_accept_each_environment(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = OURS[service]["environment"]
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, _with_defaults(value))

    settings = load()

    assert environment.keys() <= KNOWN
    assert settings.kafka_broker == "kafka:19092"
    assert settings.redis_url == "redis://redis:6379/0"


def test_every_variable_to_be_given_from_outside_is_a_setting() -> None:
    assert set(re.findall(r"\$\{(\w+)", TEXT)) <= KNOWN


def test_every_mounted_or_built_path_exists() -> None:
    binds = [v for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith(".")]
    mounted = {volume.split(":")[0] for volume in binds}
    built = {str(Path(s["build"]["context"]) / s["build"]["dockerfile"]) for s in OURS.values()}

    assert mounted == {"./ops/prometheus.yml"}
    assert [path for path in mounted | built if not (ROOT / path).is_file()] == []


def test_the_image_is_built_from_files_that_exist_and_are_not_ignored() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in lines for source in line.split()}
    allowed = (ROOT / ".dockerignore").read_text().split()

    assert {"pyproject.toml", "stream_app", "producers"} <= sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if f"!{source}" not in allowed] == []


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_the_loopback_address_only(service: str) -> None:
    ports = SERVICES[service].get("ports", [])

    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_prometheus_scrapes_the_metrics_port_of_every_long_running_process() -> None:
    jobs = yaml.safe_load((ROOT / "ops/prometheus.yml").read_text())["scrape_configs"]
    targets = {
        name: target["port"]
        for job in jobs
        for target in job["dns_sd_configs"]
        for name in target["names"]
    }

    assert targets == {
        name: service["environment"]["SEGMENTER_METRICS_PORT"]
        for name, service in OURS.items()
        if "profiles" not in service
    }
    assert f"SEGMENTER_METRICS_PORT={targets['worker']}" in DOCKERFILE


def test_redis_never_evicts_and_writes_an_append_only_file() -> None:
    command = " ".join(SERVICES["redis"]["command"])

    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes --appendfsync everysec" in command
    assert "redis-data:/data" in SERVICES["redis"]["volumes"]


def test_a_service_that_others_wait_for_has_a_health_check() -> None:
    awaited = {
        name
        for service in SERVICES.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }

    assert awaited == {"kafka", "redis", "worker", "trainer"}
    assert "HEALTHCHECK" in DOCKERFILE
    for name in awaited:
        assert ("healthcheck" in SERVICES[name]) is (name not in OURS)


def test_our_containers_run_read_only_and_without_rights() -> None:
    for service in OURS.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r"^USER 10001", DOCKERFILE, re.MULTILINE)


def test_every_image_is_pinned() -> None:
    images = [s["image"] for s in SERVICES.values() if "build" not in s]
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert len(images) == 3
    assert [i for i in images + bases if not re.search(r":v?\d+\.\d+\.\d+", i)] == []
