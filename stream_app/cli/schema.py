"""``segmenter schema``: write the contracts as documents, or check the ones that are kept."""

import json
from pathlib import Path
from typing import Annotated

import typer

from stream_app.schema import INCOMING, OUTGOING, Json, asyncapi, file_name, json_schema

Out = Annotated[Path, typer.Option(help="Folder of asyncapi.json and schemas/; made if missing.")]
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit 1 and name the files that differ.")
]


def schema(out: Out = Path("docs"), *, check: Check = False) -> None:
    """Write the message contracts as JSON Schema and AsyncAPI 3.0.

    schemas/*.json: what the values look like, one file for each contract.

    asyncapi.json: topics, keys, headers, examples; who sends and receives.
    """
    files = {out / name: data for name, data in documents().items()}
    try:
        changed = [path for path, data in files.items() if _read(path) != data]
        if check and changed:
            _refuse(changed, out)
        for path in changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[path])
            typer.echo(f"wrote {path}")
    except OSError as error:
        raise typer.BadParameter(
            f"{error.filename}: {error.strerror}", param_hint="--out"
        ) from None
    if not changed:
        typer.echo(f"{out} agrees with the code")


def documents() -> dict[str, bytes]:
    """UTF-8 text of every document, by its path below the folder."""
    files = {file_name(contract): json_schema(contract) for contract in INCOMING + OUTGOING}
    return {path: _encode(value) for path, value in (files | {"asyncapi.json": asyncapi()}).items()}


def _encode(document: Json) -> bytes:
    """Sorted JSON with a last newline; the docstrings in it become CommonMark."""
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text.replace("``", "`") + "\n").encode()


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _refuse(changed: list[Path], out: Path) -> None:
    for path in changed:
        typer.echo(f"{path} {'differs from the code' if path.exists() else 'is missing'}", err=True)
    typer.echo(f"Run: segmenter schema --out {out}", err=True)
    raise typer.Exit(1)
