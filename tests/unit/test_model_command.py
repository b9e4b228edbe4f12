"""``segmenter model`` where no store is needed: help, wrong use, names, and tables."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from stream_app.adapters.memory_store import MemoryStore
from stream_app.cli import app
from stream_app.cli.model_view import segments
from stream_app.config import ConfigError
from tests.builders import a_snapshot

NOWHERE = {"REDIS_URL": "", "KAFKA_BROKER": "", "COLUMNS": "200"}


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["model", *words], env=NOWHERE)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("list", "newest first"),
        ("show", "what became of the former segments"),
        ("diff", "Writes nothing"),
        ("rollback", "the trainer goes on from it"),
        ("rehearse", "Writes nothing without --promote"),
        ("rename", "it stays as long as the segment lives"),
    ],
)
def test_every_command_says_what_it_does(command: str, said: str) -> None:
    result = run(command, "--help")

    assert result.exit_code == 0
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize(
    "words",
    [
        ("rename", "1"),
        ("rename", "1", "Gold", "--reset"),
        ("rename", "1", "   "),
        ("rename", "1", "Go\tld"),
        ("rename", "1", "x" * 65),
        ("rename", "one", "Gold"),
        ("rollback", "0"),
        ("rehearse", "--margin", "1"),
        ("diff", "1"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_asked_of_the_store(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize(
    "words", [("list",), ("show",), ("diff", "1", "2"), ("rollback", "1"), ("rehearse",)]
)
def test_without_a_store_the_missing_variable_is_named(words: tuple[str, ...]) -> None:
    answer = run(*words)

    assert isinstance(answer.exception, ConfigError)
    assert str(answer.exception).startswith("REDIS_URL is not set")


def test_a_users_name_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    segments(a_snapshot(names=("[bold]Gold[/bold]", "Quiet", "Gone")))

    assert "[bold]Gold[/bold]" in capsys.readouterr().out


async def test_names_are_replaced_together_with_a_version_or_not_at_all() -> None:
    store = MemoryStore()

    assert await store.save_model(a_snapshot(1), {2: "Mine"})
    assert not await store.save_model(a_snapshot(1), {2: "Yours"})
    assert await store.save_model(a_snapshot(2))
    assert await store.names() == {2: "Mine"}

    assert await store.save_model(a_snapshot(3), {})
    assert await store.names() == {}


def test_the_command_line_starts_without_loading_what_only_learning_needs() -> None:
    script = "import sys, stream_app.cli; sys.exit('sklearn' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
