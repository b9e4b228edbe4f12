"""Where Apache Kafka can't be had, one sentence says why, with an exit code of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.kafka.__main__ import UNAVAILABLE
from tests.kafka.libraries import ROOT, KafkaUnavailableError, libraries, version

NOWHERE = """<settings><mirrors><mirror><id>nowhere</id><mirrorOf>*</mirrorOf>
<url>http://127.0.0.1:1/</url></mirror></mirrors></settings>"""


def a_program(folder: Path, name: str, script: str) -> None:
    """An executable shell script."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_tests_run_on_the_version_that_compose_runs() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version()}"


def test_without_java_the_run_ends_with_a_sentence_and_its_own_code(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.kafka"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == UNAVAILABLE == 3
    assert answer.stdout == (
        f"==> Apache Kafka {version()} can't be had here: "
        "there is no java here, and Kafka needs Java 17\n"
    )
    assert answer.stderr == ""


def test_an_old_java_is_named_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_program(tmp_path, "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(KafkaUnavailableError, match=r"Java 17 or newer.*11\.0\.2"):
        libraries(tmp_path)


def test_without_maven_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_program(tmp_path, "java", """echo 'openjdk version "17.0.1"' >&2""")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(KafkaUnavailableError, match="there is no mvn here"):
        libraries(tmp_path / "cache")


@pytest.mark.integration
def test_where_maven_central_does_not_answer_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if subprocess.run(["sh", "-c", "command -v java && command -v mvn"], check=False).returncode:
        pytest.skip("needs Java and Maven")
    (tmp_path / ".m2").mkdir()
    (tmp_path / ".m2/settings.xml").write_text(NOWHERE)
    monkeypatch.setenv("MAVEN_OPTS", f"-Duser.home={tmp_path}")

    with pytest.raises(KafkaUnavailableError, match="Maven could not fetch Kafka") as refused:
        libraries(tmp_path / "cache")

    assert "\n" not in str(refused.value)
    assert list((tmp_path / "cache").iterdir()) == []
