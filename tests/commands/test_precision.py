"""`--precision`: a base in few bits through the commands, and adapters that go from one precision to another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.commands import opening
from headstart.errors import NoRoom
from headstart.lm.load import load
from headstart.lm.tiny import tiny_base
from headstart.plan.cards import Place

pytest.importorskip("bitsandbytes")
Run = Callable[..., Any]
CPU = torch.device("cpu")


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


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the gigabytes that are free, on a processor that computes in bf16."""
    monkeypatch.setattr(opening, "native_dtype", lambda device: torch.bfloat16)
    return lambda free: monkeypatch.setattr(opening, "place_of", lambda device: Place("it", int(free * 1e9), gpu=False))


@pytest.mark.parametrize(("free", "chosen"), [(16, None), (11, "8bit"), (7, "4bit")])
def test_a_base_is_kept_in_as_few_bits_as_it_takes_to_fit_and_that_is_said(
    room: Callable[[float], None], capsys: pytest.CaptureFixture[str], free: float, chosen: str | None
) -> None:
    room(free)
    assert opening.by_room("meta-llama/Llama-2-7b-hf", "adapt", CPU) == chosen
    said = capsys.readouterr().err
    assert (f"its linears are kept in {chosen}. --precision bf16 asks for all of it" in " ".join(said.split())) == bool(chosen)


def test_a_base_that_is_too_large_in_any_precision_is_refused_before_it_is_read(room: Callable[[float], None]) -> None:
    room(3)
    with pytest.raises(NoRoom, match=r"Llama-2-7b-hf alone takes 3\.87 GB in 4 bits, and 3\.00 GB are free on it"):
        opening.by_room("meta-llama/Llama-2-7b-hf", "serve", CPU)


def test_without_what_packs_it_a_word_is_said_and_the_whole_is_loaded(
    room: Callable[[float], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room(7)
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: None)
    assert opening.by_room("meta-llama/Llama-2-7b-hf", "adapt", CPU) is None
    assert "pip install 'headstart[small]'" in " ".join(capsys.readouterr().err.split())


def test_a_base_that_cannot_be_planned_is_loaded_as_ever(room: Callable[[float], None], tmp_path: Path) -> None:
    room(1)
    assert opening.by_room(str(tmp_path), "adapt", CPU) is None


def test_adapt_takes_the_precision_that_fits(headstart: Run, colours: Path, wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A tiny base beside a program of hundreds of megabytes: whether it fits is settled here by name.
    monkeypatch.setattr(opening, "by_room", lambda name, purpose, device: "4bit")
    told = headstart("adapt", colours, "--name", "hues", "--base", wide, "--steps", 1, "--no-prefix", "--json")
    assert told.json["precision"] == "4bit"


@pytest.mark.parametrize("bits", [4, 8])
def test_a_folder_that_is_packed_already_is_taught_and_asked_and_not_merged_into(
    headstart: Run, colours: Path, wide: Path, tmp_path: Path, bits: int
) -> None:
    folder, base = tmp_path / "packed", load(str(wide), bits=bits)
    base.model.save_pretrained(folder)
    base.chat.tokenizer.save_pretrained(folder)
    told = headstart("adapt", colours, "--name", "hues", "--base", folder, "--steps", 60, "--no-prefix", "--json")
    assert told.json["precision"] == f"{bits}bit"
    ways = [(), ("--adapter", "hues")]
    before, after = (headstart("eval", colours, "--base", folder, *way, "--json").json["loss"] for way in ways)
    assert after < 0.5 * before
    merged = headstart("adapters", "export", "hues", "--to", "merged", "--out", tmp_path / "whole", "--base", folder)
    assert merged.code == 1
    assert f"kept in {bits}bit" in merged.err
