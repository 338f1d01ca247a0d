"""What `headstart eval` says of answers; and that it and `demo` teach in the room that there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from headstart.adapters.store import Shelf
from headstart.commands import demo, evaluate, worth
from headstart.commands.evaluate import score
from headstart.commands.opening import base_of
from headstart.episode import Example
from headstart.lm.load import EMBEDDED, Base
from headstart.plan.cards import Place
from headstart.teach import NONE, Beginning, Recipe, Taught, lesson, room
from tests.conftest import write_jsonl


def test_an_interval_of_losses_holds_none_that_cannot_be() -> None:
    """One question of four that surprised, and Student's t would go below what any loss can be."""
    questions = [Example.pair(f"question {i}", "yes") for i in range(4)]
    facts = score(questions, ["yes", "no", "yes", "yes"], [0.001, 0.18, 0.001, 0.001])
    low, high = facts["loss_interval"]
    assert low == 0.0
    assert high > facts["loss"] > 0.0
    assert facts["exact_match"] == 0.75


def test_it_is_said_where_a_question_leaves_less_room(
    headstart: Callable, colours: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson.Report, "keeps_prefix", True)
    told = headstart("adapt", colours, "--name", "hues", "--steps", 1, "--base", base_folder)
    assert told.code == 0, told.err
    asked = write_jsonl(tmp_path / "asked.jsonl", [{"prompt": word, "completion": "x"} for word in ("grey", "pink", "long " * 85)])
    told = headstart("eval", asked, "--adapter", "hues", "--base", base_folder)
    assert told.code == 0, told.err
    assert "1 of the 3 questions leave room for fewer of the 4 examples in front of them." in told.err


@pytest.mark.parametrize("words", [(), ("--shots", "2"), ("--worth",)])
def test_all_rows_that_do_not_fit_the_context_are_named_before_any_is_asked(
    headstart: Callable, base_folder: Path, tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (evaluate, worth):
        monkeypatch.setattr(module, "beginnings", lambda *_: pytest.fail("too late"))
    monkeypatch.setattr(evaluate, "answer", lambda *_: pytest.fail("too late"))
    rows = [{"prompt": f"say {n}", "completion": f"<{n}>"} for n in range(9)]
    # One of them fits without its answer.
    rows[3]["completion"], rows[7]["prompt"] = "so " * 200, "x" * 600
    told = headstart("eval", write_jsonl(tmp_path / "rows.jsonl", rows), *words, "--base", base_folder)
    assert told.code == 1
    assert "2 of 9 rows of" in told.err
    assert "line 4: An example of" in told.err
    assert "line 8: An example of" in told.err


def test_what_an_adapter_is_told_counts_too(headstart: Callable, base_folder: Path, tmp_path: Path) -> None:
    told = [{"role": "system", "content": "Be kind. " * 10}]
    rows = [
        {"messages": [*told, {"role": "user", "content": w}, {"role": "assistant", "content": w.upper()}]} for w in ("red", "tan", "blue")
    ]
    made = headstart("adapt", write_jsonl(tmp_path / "told.jsonl", rows), "--name", "kind", "--steps", 1, "--base", base_folder)
    assert made.code == 0, made.err
    asked = write_jsonl(tmp_path / "asked.jsonl", [{"prompt": "x" * 440, "completion": "y"}])
    assert headstart("eval", asked, "--base", base_folder).code == 0
    assert "line 1: An example of" in headstart("eval", asked, "--adapter", "kind", "--base", base_folder).err


def test_an_adapter_for_the_test_alone_is_taught_in_the_room_that_there_is(
    headstart: Callable, colours: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.heap, "lean", lambda: True)
    monkeypatch.setattr(room, "place_of", lambda device: Place("it", 1000, gpu=False))
    told = headstart("eval", colours, "--shots", 2, "--base", base_folder)
    assert told.code == 1
    assert "are needed at the least" in told.err


def test_a_demo_s_two_adapters_are_taught_in_the_same_room(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Recipe] = []

    def taught(_: Base, __: list[Example], what: Recipe | list[Beginning], *more: object, **named: object) -> Taught | None:
        seen.append(what if isinstance(what, Recipe) else what[0].recipe)
        return None

    monkeypatch.setattr(demo, "teach", taught)
    monkeypatch.setattr(demo, "teach_from", taught)
    way = Recipe(steps=3, rank=16, target=("q_proj",), checkpoint=True, piece=256, asked=1)
    demo.taught_both(tiny, [], [Beginning("sql", way)], lambda *_: None)
    assert seen == [Recipe(folds=0, checkpoint=True, piece=256, asked=1), way]
    demo.taught_both(tiny, [], [Beginning(NONE, way)], lambda *_: None)
    assert seen[2:] == [way]


def test_an_adapter_s_own_base_is_loaded_where_it_is_here(headstart: Callable, colours: Path, base_folder: Path, tmp_path: Path) -> None:
    assert headstart("adapt", colours, "--name", "hues", "--steps", 1, "--base", base_folder).code == 0
    for words in (("ask", "red", "--adapter", "hues"), ("eval", colours, "--adapter", "hues")):
        told = headstart(*words, "--json")
        assert (told.code, told.json["base"]) == (0, str(base_folder)), told.err
    assert headstart("adapters", "export", "hues", "--to", "peft", "--out", tmp_path / "out").code == 0


def test_only_what_is_whole_on_this_machine_is_an_adapter_s_own_base(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("headstart.lm.hub.whole", lambda name: bool(asked.append(name)) or name == "some/base")
    net = {"model.layers.0.self_attn.q_proj.lora_A": torch.ones(2, 8), "model.layers.0.self_attn.q_proj.lora_B": torch.ones(8, 2)}
    names = {"kept": "some/base", "far": "other/base", "gone": str(tmp_path / "gone"), "usual": EMBEDDED}
    for name, base in names.items():
        Shelf().write(name, net, {"base": {"name": base, "content": "c", "tokenizer": "t", "template": "p"}}, layers=1)
    assert {name: base_of(Shelf(), name, None) for name in names} == {"kept": "some/base", "far": None, "gone": None, "usual": None}
    assert asked == ["some/base", "other/base"]
    assert base_of(Shelf(), "kept", "named") == "named"
    assert base_of(Shelf(), None, None) is None
