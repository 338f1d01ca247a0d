"""What the system told an adapter in all of its examples, it is told still."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.commands import ask, evaluate
from headstart.episode import Example
from headstart.lm.load import Base
from tests.conftest import Told, write_jsonl

Run = Callable[..., Told]
TERSE = {"role": "system", "content": "/be\r\nterse"}
ROWS = [
    {"messages": [TERSE, {"role": "user", "content": word}, {"role": "assistant", "content": word[0].upper()}]}
    for word in ("red", "blue", "green")
]


@pytest.fixture
def adapt(headstart: Run, tmp_path: Path, base_folder: Path) -> Callable[..., Shelf]:
    """Teaches rows without keeping them."""

    def run(rows: Sequence[dict[str, Any]] = ROWS) -> Shelf:
        file = write_jsonl(tmp_path / "rows.jsonl", rows)
        words = ("--name", "terse", "--base", base_folder, "--start", "none", "--steps", 1, "--no-prefix", "--replace")
        told = headstart("adapt", file, *words)
        assert told.code == 0, told.err
        return Shelf()

    return run


def test_it_is_asked_under_what_it_was_taught_under(
    headstart: Run, adapt: Callable[..., Shelf], tiny: Base, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, asked = adapt(), []
    assert (shelf.system("terse"), shelf.prefix("terse")) == (TERSE["content"], [])
    monkeypatch.setattr(ask, "generate", lambda _net, _chat, _bank, _slots, prompts, *_, **__: asked.extend(prompts) or ["R"])
    assert headstart("ask", "red", "--adapter", "terse", "--base", base_folder, "--json").json["completion"] == "R"
    wanted = Example((("system", TERSE["content"]), ("user", "red"), ("assistant", "R")))
    assert asked == [tiny.chat.lay(wanted).prompt]
    headstart("ask", "red", "--base", base_folder)
    assert asked[1:] == [tiny.chat.prompt([("user", "red")])], "the base alone is told nothing"
    worn = wear(tiny, shelf, "terse")
    worn.net.remove()
    assert worn.system == TERSE["content"]


def test_it_is_examined_under_it_too(
    headstart: Run, adapt: Callable[..., Shelf], colours: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapt()
    asked, answer = [], evaluate.answer
    monkeypatch.setattr(evaluate, "answer", lambda *given: asked.extend(given[5]) or answer(*given))
    assert headstart("eval", colours, "--adapter", "terse", "--base", base_folder, "--json").json["predictions"][0]["prompt"] == "red"
    assert {it.messages[0] for it in asked} == {("system", TERSE["content"])}


def test_what_only_some_were_told_is_told_to_none(adapt: Callable[..., Shelf]) -> None:
    shelf = adapt([*ROWS, {"prompt": "black", "completion": "B"}])
    assert shelf.system("terse") == ""
    assert "system" not in shelf.record("terse")


def test_an_export_holds_it_or_says_that_it_does_not(
    headstart: Run, adapt: Callable[..., Shelf], base_folder: Path, tmp_path: Path
) -> None:
    adapt()
    told = headstart("adapters", "export", "terse", "--to", "peft", "--out", tmp_path / "p", "--base", base_folder)
    assert "taught under a system message (system.txt)" in " ".join(told.out.split())
    assert repr(TERSE["content"]) in told.out
    assert (tmp_path / "p" / "system.txt").read_bytes().decode() == TERSE["content"]
    assert "system" in (Shelf().path("terse") / "README.md").read_text(encoding="utf-8")


def test_a_record_may_not_tell_anything_but_text(adapt: Callable[..., Shelf], headstart: Run, base_folder: Path) -> None:
    path = adapt().path("terse") / "headstart.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"system": ["a"]}), encoding="utf-8")
    told = headstart("ask", "red", "--adapter", "terse", "--base", base_folder)
    assert told.code == 1
    assert "system" in told.err
