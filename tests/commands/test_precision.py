"""`--precision`: a base in few bits through the commands, and adapters that go from one precision to another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.lm.tiny import tiny_base

pytest.importorskip("bitsandbytes")
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose widths can be packed."""
    return tiny_base(tmp_path_factory.mktemp("bases") / "wide-llama", wide=4)


@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_an_adapter_taught_in_few_bits_says_so_and_answers_in_any_precision(
    headstart: Run, colours: Path, wide: Path, precision: str
) -> None:
    words = ("--base", wide, "--steps", 60, "--no-prefix", "--json")
    told = headstart("adapt", colours, "--name", "hues", "--precision", precision, *words)
    assert told.json["precision"] == precision
    folder = Path(told.json["path"])
    assert json.loads((folder / "headstart.json").read_text())["precision"] == precision
    assert f"taught on the base in {precision}" in (folder / "README.md").read_text()
    losses = {}
    for worn in (precision, "fp32"):
        ways = [(), ("--adapter", "hues")]
        found = [headstart("eval", colours, "--base", wide, "--precision", worn, *way, "--json").json["loss"] for way in ways]
        losses[worn] = found
    assert all(after < 0.5 * before for before, after in losses.values())


def test_the_hash_of_the_base_is_that_of_its_files_whatever_its_precision(headstart: Run, colours: Path, wide: Path) -> None:
    hashes = set()
    for precision in ("4bit", "fp32"):
        words = ("--base", wide, "--steps", 1, "--precision", precision, "--no-prefix", "--json")
        told = headstart("adapt", colours, "--name", f"hues-{precision}", *words)
        hashes.add(json.loads((Path(told.json["path"]) / "headstart.json").read_text())["base"]["content"])
    assert len(hashes) == 1


def test_a_precision_that_there_is_not_is_a_usage_error(headstart: Run, wide: Path) -> None:
    told = headstart("ask", "red", "--base", wide, "--precision", "3bit")
    assert told.code == 2
    assert "4bit" in told.err
