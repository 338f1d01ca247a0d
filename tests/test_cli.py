"""The command line's contract: what each command prints, writes and returns."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.adapters import peft
from headstart.adapters.keep import hash_of_weights
from headstart.commands import adapt
from headstart.teach import Recipe
from tests.conftest import COLOURS, Told, write_jsonl

Run = Callable[..., Told]
SCORE = {"exact_match", "loss"}


@pytest.fixture(scope="module")
def shelf(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with one adapter, `hues`, that knows its examples by heart. Not to be written to."""
    home = tmp_path_factory.mktemp("home")
    examples = write_jsonl(home / "colours.jsonl", COLOURS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_HOME", str(home))
        recipe = Recipe(steps=40, target=("all-linear",), prefix=False)
        adapt.run(examples, "hues", False, str(base_folder), None, "none", recipe, as_json=True)
    return home / "adapters"


@pytest.fixture
def taught(shelf: Path, home: Path) -> Path:
    """The same adapter on a shelf of this test's own."""
    shutil.copytree(shelf, home / "adapters")
    return home / "adapters" / "hues"


def test_adapt_prints_the_agreed_keys_and_writes_the_folder(headstart: Run, colours: Path, base_folder: Path, home: Path) -> None:
    told = headstart("adapt", colours, "--name", "hues", "--base", base_folder, "--steps", 2, "--json")
    assert told.code == 0, told.err
    facts = told.json
    path = home / "adapters" / "hues"
    agreed = {"name": "hues", "path": str(path), "examples": 4, "start": "none", "steps": 2}
    assert agreed.items() <= facts.items()
    assert facts["adapter_bytes"] == sum(p.stat().st_size for p in path.iterdir())
    assert facts["seconds"] > 0
    assert facts["peak_memory_bytes"] > 0
    assert set(facts["scores"]) == {"base", "prompt", "adapter"}
    assert all(set(score) == SCORE for score in facts["scores"].values())
    assert facts["verdict"] in facts["scores"]
    assert facts["shown_once"] == [], "of R, G and B most are, which are values then"
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md", "headstart.json"} <= {p.name for p in path.iterdir()}


def test_the_record_says_what_the_adapter_was_made_from(taught: Path, base_folder: Path) -> None:
    record = json.loads((taught / "headstart.json").read_text())
    assert (record["examples"], record["start"], record["steps"], record["base"]["name"]) == (4, "none", 40, str(base_folder))
    assert all(len(record["base"][key]) == 64 for key in ("content", "tokenizer", "template"))
    assert (len(record["examples_hash"]), record["start_hash"]) == (64, None)
    assert {"headstart", "torch", "transformers"} <= set(record["versions"])
    assert json.loads((taught / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base_folder)


def test_adapt_tells_people_the_scores_the_verdict_and_the_place(headstart: Run, colours: Path, base_folder: Path, home: Path) -> None:
    colours.write_text(colours.read_text().replace('"G"', '"B"'))
    told = headstart("adapt", colours, "--name", "hues", "--base", base_folder, "--steps", 1)
    assert told.code == 0
    for fact in ("Held-out scores, 4 examples in 3 folds", "exact match", "1 step in", str(home / "adapters" / "hues"), "shown once: `R`."):
        assert fact in told.out


def test_no_more_than_eight_words_shown_once_are_named() -> None:
    assert adapt.rare(["[a]", "b"]).startswith("shown once: `[a]`, `b`. What")
    assert "`7` and 4 more." in adapt.rare([str(i) for i in range(12)])


@pytest.mark.parametrize("steps", [1, 3])
def test_steps_are_exactly_those_asked_for(headstart: Run, colours: Path, base_folder: Path, steps: int) -> None:
    told = headstart("adapt", colours, "--name", "hues", "--base", base_folder, "--steps", steps, "--json")
    assert told.json["steps"] == steps


def test_rank_target_and_layers_reach_the_folder(headstart: Run, colours: Path, base_folder: Path, home: Path) -> None:
    words = ("--rank", 3, "--target", "q_proj,v_proj", "--layers", "0,2-3", "--steps", 1)
    assert headstart("adapt", colours, "--name", "hues", "--base", base_folder, *words).code == 0
    weights, config = peft.read(home / "adapters" / "hues")
    assert (config["r"], config["target_modules"], config["layers_to_transform"]) == (3, ["q_proj", "v_proj"], [0, 2, 3])
    assert len(weights) == 2 * 2 * 3


def test_a_start_is_where_it_begins(headstart: Run, taught: Path, colours: Path, base_folder: Path) -> None:
    words = ("adapt", colours, "--base", base_folder, "--steps", 1, "--no-prefix", "--json")
    on = headstart(*words, "--name", "on", "--start", "hues")
    assert on.code == 0, on.err
    assert on.json["start"] == "hues"
    assert headstart(*words, "--name", "fresh").code == 0
    began, went_on, fresh = (peft.read(taught.with_name(name))[0] for name in ("hues", "on", "fresh"))
    assert list(went_on) == list(began)
    record = json.loads((taught.with_name("on") / "headstart.json").read_text())
    assert record["start_hash"] == hash_of_weights(began), "a start is known by what it is, not by its name alone"

    def apart(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
        return max(float((a[name] - b[name]).abs().max()) for name in a)

    # An Adam step moves a weight by its rate at most, here a hundredth.
    assert 0 < apart(went_on, began) < 0.02 < apart(fresh, began)


@pytest.mark.parametrize("words", [("--target", "q_proj"), ("--layers", "1"), ("--rank", "4"), ("--rank", "8")])
def test_a_start_brings_its_own_sites(headstart: Run, taught: Path, colours: Path, base_folder: Path, words: tuple[str, str]) -> None:
    told = headstart("adapt", colours, "--name", "on", "--base", base_folder, "--start", "hues", *words)
    assert told.code == 1
    assert "--start, or --rank, --target and --layers, not both" in told.err


def test_replace_takes_the_place_of_the_former_one(headstart: Run, taught: Path, colours: Path, base_folder: Path) -> None:
    before = (taught / peft.WEIGHTS).read_bytes()
    assert headstart("adapt", colours, "--name", "hues", "--replace", "--base", base_folder, "--steps", 1).code == 0
    assert (taught / peft.WEIGHTS).read_bytes() != before
    assert [p.name for p in taught.parent.iterdir()] == ["hues"]


def test_ask_answers_as_the_adapter_and_as_the_base(headstart: Run, taught: Path, base_folder: Path) -> None:
    ask = ("ask", "red", "--base", base_folder, "--max-tokens", 8)
    assert headstart(*ask, "--adapter", "hues") == Told(0, "R\n", "")
    bare = headstart(*ask, "--json")
    assert bare.code == 0
    assert bare.json["completion"] != "R"
    assert bare.json == {"prompt": "red", "adapter": None, "base": str(base_folder), "completion": bare.json["completion"]}
    assert headstart(*ask).out == bare.json["completion"] + "\n"
    assert headstart(*ask, "--adapter", "hues", "--json").json["completion"] == "R"


def test_ask_reads_standard_input(headstart: Run, taught: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("red\n"))
    told = headstart("ask", "-", "--base", base_folder, "--adapter", "hues", "--max-tokens", 8, "--json").json
    assert (told["prompt"], told["completion"]) == ("red", "R")


def test_a_draw_is_told_by_its_seed(headstart: Run, base_folder: Path) -> None:
    ask = ("ask", "red", "--base", base_folder, "--max-tokens", 12, "--temperature", 2.0)
    first, again, other = (headstart(*ask, "--seed", seed).out for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 10**20])
def test_a_seed_that_no_generator_takes_is_a_usage_error(headstart: Run, colours: Path, seed: int) -> None:
    for words in (("ask", "red"), ("eval", colours)):
        told = headstart(*words, "--seed", seed)
        assert (told.code, "--seed" in told.err) == (2, True)


def test_eval_scores_the_base_and_an_adapter(headstart: Run, taught: Path, colours: Path, base_folder: Path) -> None:
    evaluate = ("eval", colours, "--base", base_folder, "--json")
    bare, worn = headstart(*evaluate).json, headstart(*evaluate, "--adapter", "hues").json
    for facts in (bare, worn):
        assert {"exact_match", "loss", "count", "predictions"} <= set(facts)
        assert facts["count"] == 4
        assert [{k: p[k] for k in ("prompt", "expected")} for p in facts["predictions"]] == [
            {"prompt": row["prompt"], "expected": row["completion"]} for row in COLOURS
        ]
        right = sum(p["got"].strip() == p["expected"] for p in facts["predictions"])
        assert facts["exact_match"] == right / 4
    assert (bare["exact_match"], worn["exact_match"]) == (0.0, 1.0)
    assert worn["loss"] < 2 < bare["loss"]
    assert "exact match 100 %" in headstart(*evaluate[:-1], "--adapter", "hues").out


def test_eval_says_which_rows_an_adapter_has_before_it(headstart: Run, taught: Path, colours: Path, base_folder: Path) -> None:
    warned = "rows stand in front of every question"
    assert warned not in headstart("eval", colours, "--base", base_folder, "--adapter", "hues").err
    (taught / "prefix.jsonl").write_text("".join(colours.read_text().splitlines(True)[:2]))
    (taught / "headstart.json").unlink()
    assert f"2 of the 4 {warned}" in headstart("eval", colours, "--base", base_folder, "--adapter", "hues").err


def test_eval_with_shots_scores_the_rest(headstart: Run, colours: Path, base_folder: Path, home: Path) -> None:
    draws = []
    for seed in (0, 0, 1):
        facts = headstart("eval", colours, "--shots", 2, "--seed", seed, "--base", base_folder, "--json").json
        assert (facts["count"], facts["shots"]) == (2, 2)
        draws.append([p["prompt"] for p in facts["predictions"]])
    assert draws[0] == draws[1] != draws[2]
    assert not (home / "adapters").exists()


def test_eval_with_shots_asks_no_twin_of_what_is_taught(headstart: Run, base_folder: Path, home: Path, tmp_path: Path) -> None:
    twice = write_jsonl(tmp_path / "twice.jsonl", [*COLOURS, *COLOURS])
    once = write_jsonl(tmp_path / "once.jsonl", COLOURS)
    told = [headstart("eval", it, "--shots", 2, "--base", base_folder, "--json").json for it in (once, twice)]
    assert told[0] == told[1]
    assert told[0]["count"] == 2
    refused = headstart("eval", twice, "--shots", 4, "--base", base_folder)
    assert (refused.code, "8 examples were given, 4 without repeats; 5 at least" in refused.err) == (1, True)


def test_the_shelf_is_listed_shown_and_cleared(headstart: Run, taught: Path, base_folder: Path) -> None:
    listed = headstart("adapters", "list", "--json").json
    [row] = listed["adapters"]
    assert listed["shelf"] == str(taught.parent)
    assert (row["name"], row["base"], row["examples"], row["problem"]) == ("hues", str(base_folder), 4, None)
    assert "hues" in headstart("adapters", "list").out
    assert headstart("adapters", "show", "hues", "--json").json["record"]["steps"] == 40
    assert "# hues" in headstart("adapters", "show", "hues").out
    assert headstart("adapters", "remove", "hues", "--json").json == {"removed": "hues"}
    assert headstart("adapters", "list", "--json").json["adapters"] == []
    assert "is empty" in headstart("adapters", "list").out
    assert headstart("adapters", "restore", "--json").json == {"restored": "hues"}
    assert headstart("adapters", "rename", "hues", "shades", "--json").json == {"renamed": "hues", "to": "shades"}
    assert "# shades" in headstart("adapters", "show", "shades").out
    assert "restore" in headstart("adapters", "remove", "shades").out
    assert headstart("adapters", "purge", "--json").json == {"purged": ["shades"]}
    assert headstart("adapters", "restore").code == 1
    assert list(taught.parent.iterdir()) == []


def test_a_broken_adapter_is_listed_as_such_and_does_no_harm(headstart: Run, taught: Path) -> None:
    for name, file, text in (
        ("cut", peft.WEIGHTS, "x"),
        ("odd", "headstart.json", "[]"),
        ("odder", peft.CONFIG, '{"peft_type": "LORA", "r": "?"}'),
    ):
        shutil.copytree(taught, taught.with_name(name))
        (taught.with_name(name) / file).write_text(text)
    rows = headstart("adapters", "list", "--json").json["adapters"]
    assert [(row["name"], bool(row["problem"])) for row in rows] == [("cut", True), ("hues", False), ("odd", True), ("odder", True)]
    assert headstart("adapters", "list").code == 0
    shown = headstart("adapters", "show", "cut")
    assert (shown.code, shown.out) == (1, "")
    assert "broken" in shown.err


def test_bench_runs_what_lies_in_the_checkout(headstart: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "benchmarks" / "why").mkdir(parents=True)
    (tmp_path / "benchmarks" / "why" / "run.py").write_text("raise SystemExit(7)")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert headstart("bench").out == "why\n"
    assert headstart("bench", "why").code == 7
    told = headstart("bench", "wyh")
    assert told.code == 1
    assert "Nearest: why" in told.err


@pytest.mark.parametrize("words", [("--help",), ("adapt", "--help"), ("ask", "--help"), ("eval", "--help"), ("adapters", "list", "--help")])
def test_help_is_no_error(headstart: Run, words: tuple[str, ...]) -> None:
    told = headstart(*words)
    assert (told.code, told.err) == (0, "")
    assert "Usage" in told.out


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("adapters",),
        ("teach",),
        ("adapt",),
        ("adapt", "e.jsonl"),
        ("adapt", "--name", "x"),
        ("adapt", "e.jsonl", "--name", "x", "--step", "3"),
        ("adapt", "e.jsonl", "--name", "x", "--steps", "0"),
        ("adapt", "e.jsonl", "--name", "x", "--steps", "many"),
        ("adapt", "e.jsonl", "--name", "x", "--rank", "0"),
        ("adapt", "e.jsonl", "--name", "x", "--layers", "3-1"),
        ("adapt", "e.jsonl", "--name", "x", "--layers", "top"),
        ("adapt", "e.jsonl", "--name", "x", "--layers", "²"),
        ("ask",),
        ("ask", "x", "--temperature", "-1"),
        ("ask", "x", "--top-p", "2"),
        ("ask", "x", "--max-tokens", "0"),
        ("eval", "e.jsonl", "--shots", "1"),
        ("adapters", "remove"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_writes_nothing(headstart: Run, home: Path, words: tuple[str, ...]) -> None:
    told = headstart(*words)
    assert told.code == 2
    assert "Traceback" not in told.out + told.err
    assert not home.exists()


def test_json_holds_any_letter_as_it_is(headstart: Run, tmp_path: Path, base_folder: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": "größe ☃", "completion": "ü"}, {"prompt": "b", "completion": "“x”"}]
    told = headstart("eval", write_jsonl(tmp_path / "e.jsonl", rows), "--base", base_folder, "--json")
    assert told.json["predictions"][0]["prompt"] == "größe ☃"
    assert "größe ☃" in told.out
