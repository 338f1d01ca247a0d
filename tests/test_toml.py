import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart import toml
from headstart.errors import SettingsError

WORD = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
PLAIN = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=["Cs"]))
VALUE = PLAIN | st.lists(PLAIN, max_size=3) | st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=2)
TABLE = st.dictionaries(WORD, VALUE, max_size=4)


@given(TABLE, st.dictionaries(WORD, TABLE, max_size=3))
def test_what_is_written_is_read_back(top: dict[str, Any], tables: dict[str, dict[str, Any]]) -> None:
    whole = top | tables
    text = toml.write(whole)
    assert tomllib.loads(text) == whole
    assert repr(tomllib.loads(text)) == repr(tomllib.loads(toml.write(tomllib.loads(text))))


def test_a_comment_stands_above_its_key_and_nothing_is_a_comment() -> None:
    text = toml.write(
        {"seed": 1, "outer": {"rate": 0.5, "clip": None}}, {"seed": "Of\nchance.", "outer.rate": "Step size.", "outer.clip": "Longest."}
    )
    assert text == "# Of\n# chance.\nseed = 1\n\n[outer]\n# Step size.\nrate = 0.5\n# Longest.\n# clip is not set\n"
    assert tomllib.loads(text) == {"seed": 1, "outer": {"rate": 0.5}}


def test_paths_and_tuples_are_written_as_toml_has_them() -> None:
    assert toml.write({"data": Path("a/b"), "ends": (1, (2.0, "x"))}) == 'data = "a/b"\nends = [1, [2.0, "x"]]\n'


def test_a_file_that_is_not_there_or_no_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no file"):
        toml.read(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("a = 1\nb = ?\n")
    with pytest.raises(SettingsError, match=r"bad\.toml' is not TOML: .*line 2"):
        toml.read(tmp_path / "bad.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        toml.read(tmp_path / "bytes.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        toml.read(tmp_path)
