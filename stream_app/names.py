"""The user's own segment names, from a file: ``{"3": "VIP"}`` as JSON or ``3 = "VIP"`` as TOML."""

import json
import tomllib
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stream_app.config import ConfigError
from stream_app.contracts import Label

_names: TypeAdapter[dict[int, str]] = TypeAdapter(dict[int, Label])


def read_names(path: str) -> dict[int, str]:
    """Read names by segment id; none without a path.

    Raises ConfigError that names the setting, the file, and what is wrong.
    """
    if not path:
        return {}
    try:
        text = Path(path).read_text("utf-8")
        found = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
        return _names.validate_python(found)
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        raise _wrong(path, f"{where or 'the whole'}: {first['msg']}") from None
    except ValueError as error:
        raise _wrong(path, str(error)) from None


def _wrong(path: str, what: str) -> ConfigError:
    return ConfigError(
        f'SEGMENTER_NAMES_FILE: {path}: {what}; write it as {{"3": "VIP"}}: a name of 1 to 64 '
        "characters for each segment id"
    )
