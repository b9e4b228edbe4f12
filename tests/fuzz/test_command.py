"""`python -m tests.fuzz` runs where atheris is, and says what to do where it is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def fuzz(*arguments: str, first: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command; modules in the folder ``first`` hide installed ones."""
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(first)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_atheris_one_sentence_says_what_to_do_and_the_code_is_its_own(
    tmp_path: Path,
) -> None:
    (tmp_path / "atheris.py").write_text("raise ImportError")

    ended = fuzz(first=tmp_path)

    assert ended.returncode == 3
    assert ended.stderr.startswith("atheris is not installed here: ")
    assert "pip install -c constraints.txt -e '.[fuzz]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_short_run_led_by_coverage_finds_nothing_and_counts_its_inputs() -> None:
    pytest.importorskip("atheris")

    ended = fuzz("--inputs", "500")

    assert ended.returncode == 0
    assert "500 inputs in " in ended.stderr
    assert "'Order': " in ended.stderr
