"""How the bytes of a dead letter are shown."""

import json
from datetime import UTC, datetime

from stream_app.adapters.letter_marks import Deed, Mark
from stream_app.cli.letters_view import as_dict, pretty, text_of
from stream_app.core.letters import Letter
from tests.builders import ARecord
from tests.unit.core.test_letters import a_letter


def shown(letter: Letter, marks: dict[str, Mark] | None = None) -> dict[str, object]:
    found = json.loads(json.dumps(as_dict(letter, marks or {}, whole=True)))
    assert isinstance(found, dict)
    return found


def test_json_is_indented_and_cannot_steer_the_terminal() -> None:
    assert pretty('{"name": "Müller", "a": [1]}'.encode()) == (
        '{\n  "name": "Müller",\n  "a": [\n    1\n  ]\n}'
    )
    assert "\x1b" not in pretty(b'{"name": "\\u001b[2J\\u009b"}')


def test_text_is_shown_as_it_is_and_other_bytes_in_hex() -> None:
    assert pretty(b'{"total": }\x1b') == '{"total": }\\x1b'
    assert pretty(b"\xff\x00\xff\x00\x01") == "ff00ff00 01"
    assert pretty(b"\xff" * 40).splitlines()[1].startswith("00000020  ffff")
    assert pretty(None) == "none"


def test_keys_stay_on_one_line() -> None:
    assert text_of(b"a\nb") == "a\\nb"
    assert text_of(b"\xff\x01") == "0xff01"
    assert text_of(None) == "–"


def test_programs_get_bytes_that_are_no_text_in_base64_and_what_became_of_it() -> None:
    letter = a_letter(ARecord(7, b"ann", b"\xff\x00", headers=(("trace", b"\xfe"),)))
    at = datetime(2026, 1, 2, tzinfo=UTC)

    found = shown(letter, {letter.mark: Mark(Deed.REPLAYED, at)})

    assert found["value"] == "base64:/wA="
    assert found["headers"] == [["trace", "base64:/g=="]]
    assert (found["state"], found["handled_at"]) == ("replayed", at.isoformat())
    assert shown(letter)["state"] == "open"


def test_a_mark_reads_what_it_writes() -> None:
    mark = Mark(Deed.SENDING, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert Mark.read(str(mark)) == mark
