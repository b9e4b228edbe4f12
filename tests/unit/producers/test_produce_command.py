"""The commands explain themselves, and a user's mistake ends in a sentence, not a traceback."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from stream_app.cli.produce import replay, simulate
from stream_app.config import ConfigError
from stream_app.contracts import Profile, Purchase

app = typer.Typer()
app.command()(replay)
app.command()(simulate)

SALES = (
    "Client;Datum;Betrag\n1;13.01.2024;12,50\n;14.01.2024;3,00\n2;15.01.2024;7,25\n"
    "2;15.01.2024;7,25\n"
)


@pytest.fixture
def sales(tmp_path: Path) -> str:
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    return str(path)


def _run(*words: str, broker: str = "") -> Result:
    return CliRunner().invoke(app, words, env={"KAFKA_BROKER": broker, "COLUMNS": "200"})


def _said(result: Result) -> str:
    return " ".join(result.output.split())


def test_a_dry_run_tells_what_was_understood(sales: str) -> None:
    result = _run(
        *("replay", "--data", sales, "--dry-run"),
        *("--date-column", "Datum", "--amount-column", "Betrag", "--currency", "EUR"),
    )

    assert result.exit_code == 0, result.output
    for part in (
        "sales.csv: 2 purchases, 0 profiles, 2024-01-13 to 2024-01-15 (UTC)",
        "skipped 1 rows: no customer",
        "skipped 1 rows: exact duplicate of another row",
        "customer <- Client",
        "amount <- Betrag",
        "dates are read as %d.%m.%Y; currency EUR",
        '"customer_id":"1","occurred_at":"2024-01-13T12:00:00Z","total":12.5',
    ):
        assert part in _said(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no column for the date: use --date-column NAME; the columns found are: Client"),
        (["--date-column", "Day"], "no column is called 'Day': use --date-column NAME"),
        (["--date-column", "Betrag"], "cannot tell how dates are written ('12,50'"),
        (
            ["--date-column", "Datum", "--date-format", "%Y"],
            "no usable row: 2 × unreadable date, 1 × no customer",
        ),
        (["--speed", "fast"], "--speed 'fast' is neither max nor a number above 0"),
        (["--speed", "-1"], "--speed '-1' is neither max nor a number above 0"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    sales: str, options: list[str], message: str
) -> None:
    result = _run("replay", "--data", sales, "--dry-run", *options)

    assert result.exit_code == 2
    assert message in _said(result)


def test_unknown_data_names_what_is_known() -> None:
    result = _run("replay", "--data", "nothing.csv", "--dry-run")

    assert result.exit_code == 2
    assert "no file 'nothing.csv'" in _said(result)
    assert "complete-journey, cdnow" in _said(result)


@pytest.mark.parametrize("command", ["replay", "simulate"])
def test_without_a_broker_the_setting_is_named(command: str) -> None:
    result = _run(command)

    assert isinstance(result.exception, ConfigError)
    assert "KAFKA_BROKER is not set" in str(result.exception)


def test_a_simulated_shop_can_be_written_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "shop.jsonl"

    result = _run("simulate", "--customers", "40", "--days", "30", "--seed", "7", "--out", str(out))

    assert result.exit_code == 0, result.output
    lines = out.read_bytes().splitlines()
    assert f"{len(lines):,} records sent" in _said(result)
    for line in lines:
        (Purchase if b"event_id" in line else Profile).model_validate_json(line)


def test_a_scrambled_shop_tells_what_was_injected(tmp_path: Path) -> None:
    result = _run(
        *("simulate", "--customers", "100", "--days", "60", "--scramble"),
        *("--out", str(tmp_path / "shop.jsonl")),
    )

    assert result.exit_code == 0, result.output
    assert "duplicate" in _said(result)
    assert "late" in _said(result)


def test_a_limit_holds_for_a_simulated_shop_too(tmp_path: Path) -> None:
    out = tmp_path / "shop.jsonl"

    assert _run("simulate", "--limit", "17", "--out", str(out)).exit_code == 0

    assert len(out.read_bytes().splitlines()) == 17


def test_a_shop_that_ends_in_the_future_is_refused(tmp_path: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)

    result = _run("simulate", "--start", f"{yesterday:%Y-%m-%d}", "--out", str(tmp_path / "x"))

    assert result.exit_code == 2
    assert "in the future: set an earlier --start" in _said(result)


def test_a_file_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    result = _run("simulate", "--out", str(tmp_path / "missing" / "x.jsonl"))

    assert result.exit_code == 2
    assert "No such file or directory" in _said(result)
