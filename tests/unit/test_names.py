from pathlib import Path

import pytest

from stream_app.config import ConfigError
from stream_app.names import read_names


def test_without_a_file_there_are_no_names() -> None:
    assert read_names("") == {}


@pytest.mark.parametrize(
    ("file", "text"),
    [("names.json", '{"3": "VIP", "7": "Weekend"}'), ("names.toml", '3 = "VIP"\n7 = "Weekend"\n')],
)
def test_names_are_read_by_segment_id(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)

    assert read_names(str(tmp_path / file)) == {3: "VIP", 7: "Weekend"}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("names.json", "{", "Expecting"),
        ("names.toml", "3 = ", "Invalid value"),
        ("names.json", '["VIP"]', "the whole"),
        ("names.json", '{"best": "VIP"}', "best: "),
        ("names.json", '{"3": ""}', "3: "),
        ("names.json", '{"3": 5}', "3: "),
    ],
)
def test_a_wrong_file_is_refused_with_the_settings_name(
    tmp_path: Path, file: str, text: str, said: str
) -> None:
    path = tmp_path / file
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"SEGMENTER_NAMES_FILE: .*names\.\w+: ") as caught:
        read_names(str(path))

    assert said in str(caught.value)
    assert '{"3": "VIP"}' in str(caught.value)


def test_a_missing_file_is_refused_with_the_settings_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"SEGMENTER_NAMES_FILE: .* No such file"):
        read_names(str(tmp_path / "none.json"))
