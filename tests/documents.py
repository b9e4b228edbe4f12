"""The project's documents, taken apart."""

import re
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from stream_app.cli import app

ROOT = Path(__file__).parents[1]
NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
DOCUMENTS = {name: (ROOT / name).read_text() for name in NAMES}
README = DOCUMENTS["README.md"]


def table(first: str) -> dict[str, list[str]]:
    """Rows of the README's only table whose first heading is ``first``, by their first cell."""
    pattern = rf"^\| {re.escape(first)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)"
    (body,) = re.findall(pattern, README, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()]
    return {row[0].strip("` "): row[1:] for row in rows}


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
