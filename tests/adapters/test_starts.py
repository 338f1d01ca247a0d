"""Starts: those made here before those of the package, broken ones passed over, adapters to begin from too."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.adapters.beginnings import AUTO, beginnings, begun
from headstart.adapters.starts import ALONE, KIND, SHIPPED, Starts, Stride
from headstart.adapters.store import BaseKey, Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Weights
from headstart.errors import AdapterRefused, NameRefused
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.teach import Beginning, Recipe
from headstart.teach.recipe import MANY
from headstart.terms import SHOWN
from tests.conftest import Told

KEY = BaseKey("some/base", "c" * 64, "t" * 64, "p" * 64)
OTHER = BaseKey("other/base", "d" * 64, "t" * 64, "p" * 64)
RECORD: dict[str, Any] = {"kind": KIND, "base": asdict(KEY), "about": "toys", "steps": 5, "rate": 0.002}


def weights(value: float) -> Weights:
    return {"layers.0.q_proj.lora_A": torch.full((2, 8), value), "layers.0.q_proj.lora_B": torch.full((8, 2), value)}


def put(root: Path, name: str, value: float = 1.0, **record: Any) -> Path:
    return Shelf(root).write(name, weights(value), RECORD | record, layers=1, replace=True)


@pytest.fixture
def starts(home: Path, tmp_path: Path) -> Starts:
    return Starts(shipped=tmp_path / "shipped")


def test_a_start_says_how_to_step_from_it(starts: Starts, home: Path) -> None:
    put(home / "starts", "toys")
    start = starts.read("toys", KEY)
    assert (start.name, start.behind, start.alone) == ("toys", Stride(5, 0.002), ALONE)
    assert begun(start, Recipe()).recipe == Recipe(5, 0.002, rank=2, target=("layers.0.q_proj",))
    assert begun(start, Recipe(prefix=False)).recipe == Recipe(ALONE.steps, ALONE.rate, rank=2, target=("layers.0.q_proj",), prefix=False)
    assert begun(start, Recipe(7, prefix=False)).recipe.steps == 7
    assert all(torch.equal(w, start.weights[name]) for name, w in weights(1.0).items())
    card = (home / "starts" / "toys" / "README.md").read_text()
    assert "meta-trained on: toys" in card
    assert "5 steps, rate 0.002" in card
    assert "- to adapt: 0 steps" in (put(home / "starts", "still", steps=0) / "README.md").read_text()


def test_a_start_that_is_replaced_while_it_is_read_is_one_of_the_two(starts: Starts, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / "starts", "toys", 2.0)
    record = Shelf.record

    def replaced(it: Shelf, name: str) -> dict[str, Any]:
        told = record(it, name)
        if told["steps"] == 5:
            put(home / "starts", "toys", 3.0, steps=9)
        return told

    monkeypatch.setattr(Shelf, "record", replaced)
    start = starts.read("toys", KEY)
    assert (start.behind.steps, start.weights["layers.0.q_proj.lora_A"][0, 0]) == (9, 3)


def test_one_made_here_goes_before_one_of_the_package(starts: Starts, home: Path, tmp_path: Path) -> None:
    put(tmp_path / "shipped", "toys", 2.0)
    assert starts.read("toys", KEY).weights["layers.0.q_proj.lora_A"][0, 0] == 2
    put(home / "starts", "toys", 3.0)
    assert starts.read("toys", KEY).weights["layers.0.q_proj.lora_A"][0, 0] == 3
    assert starts.names() == ["toys"]


def test_an_adapter_may_be_begun_from_with_the_default_steps(starts: Starts, home: Path) -> None:
    put(home / "adapters", "hues", kind="")
    start = starts.read("hues", KEY)
    assert start.behind == start.alone == Stride()
    assert starts.names() == []


def test_what_is_not_there_is_an_error_that_names_what_is_near(starts: Starts, home: Path) -> None:
    put(home / "starts", "toys")
    with pytest.raises(NameRefused, match=r"There is no start 'toy'\..*toys"):
        starts.read("toy", KEY)


def test_no_adapter_is_called_as_a_start_is(home: Path, headstart: Callable[..., Told], colours: Path, base_folder: Path) -> None:
    put(home / "starts", "toys")
    put(home / "adapters", "hues", kind="")
    for words in (
        ("adapt", colours, "--name", "toys", "--base", base_folder),
        ("adapt", colours, "--name", "sql", "--replace", "--base", base_folder),
        ("adapters", "rename", "hues", "sql"),
        ("adapters", "pull", "joe/sql"),
    ):
        told = headstart(*words)
        assert (told.code, "means that one: give another name" in told.err) == (1, True)
    assert Shelf().names() == ["hues"]


def test_what_is_near_in_two_places_is_named_once(starts: Starts, home: Path) -> None:
    for place in ("starts", "adapters"):
        put(home / place, "toys")
    with pytest.raises(NameRefused, match=r"Nearest: toys\."):
        Starts(shipped=home / "none").shelf("toy")


@pytest.mark.parametrize("wrong", [{"steps": "five"}, {"rate": "small"}, {"base": asdict(OTHER)}])
def test_a_start_that_cannot_be_used_is_refused_by_name_and_passed_over_by_auto(starts: Starts, home: Path, wrong: dict[str, Any]) -> None:
    put(home / "starts", "good")
    put(home / "starts", "wrong", **wrong)
    with pytest.raises(AdapterRefused, match="wrong"):
        starts.read("wrong", KEY)
    fitting, broken = starts.fitting(KEY)
    assert [start.name for start in fitting] == ["good"]
    # One for another base is no fault.
    assert len(broken) == ("base" not in wrong)
    assert all("'wrong'" in problem for problem in broken)


def test_what_is_shipped_is_whole_and_small() -> None:
    shelf = Shelf(SHIPPED)
    assert "sql" in shelf.names()
    for name in shelf.names():
        record = shelf.record(name)
        assert record["kind"] == KIND
        assert sum(p.stat().st_size for p in shelf.path(name).iterdir()) < 5_000_000
        assert record["score"]
        assert record["steps"] <= 10


def test_that_a_form_of_one_s_own_keeps_every_start_out_is_said_where_one_would_fit(tiny: Base, home: Path) -> None:
    recipe, said = Recipe(rank=4, target=("q_proj",)), list[str]()
    assert [it.name for it in beginnings(tiny, AUTO, recipe, said.append, 10)] == ["none"]
    assert said == []
    put(home / "starts", "toys", base=asdict(key_of(tiny)))
    assert [it.name for it in beginnings(tiny, AUTO, recipe, said.append, 10)] == ["none"]
    assert said == ["No start is tried: each brings its own rank and sites. Leave --rank and --target out to have them."]


def test_with_more_examples_than_can_stand_in_front_every_beginning_steps_as_suits_examples_alone(tiny: Base, home: Path) -> None:
    net = Grafted(tiny.model, ["model.layers.3.self_attn.q_proj"])
    net.remove()
    facts = RECORD | {"base": asdict(key_of(tiny))}
    Shelf(home / "starts").write("toys", net.blank(0), facts, tiny.layers)
    for examples, toys, none in ((SHOWN, Stride(5, 0.002), Stride()), (SHOWN + 1, ALONE, Stride(MANY.steps, MANY.rate))):
        found = {it.name: it.recipe for it in beginnings(tiny, AUTO, Recipe(), lambda _: None, examples)}
        assert {name: Stride(it.steps, it.rate) for name, it in found.items()} == {"toys": toys, "none": none}
        assert {it.prefix for it in found.values()} == {examples <= SHOWN}
        assert Beginning("none", found["none"]).suiting(examples).recipe == found["none"]
