"""`headstart eval --learner`: a labelled file in, honest scores beside a baseline and chance out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.commands.classify import DRAWS
from headstart.lm.features import text_net
from headstart.lm.load import Base
from tests.conftest import Told, write_jsonl

Run = Callable[..., Told]
TOPICS = {
    letter: [f"{letter * (3 + i)} {chr(112 + i)}{chr(113 + j)}" for i in range(3) for j in range(2 + n)] for n, letter in enumerate("abc")
}
"""Random weights still tell which letter a text is made of."""
MIXED = [
    {"text": f"{word} {i}", "label": label}
    for label, words, ends in (("x", "ab cd", "uvw"), ("y", "ab ef", "rst"), ("z", "cd ef", "opq"))
    for word in words.split()
    for i in ends
]
"""A word of one class is a word of another too, so half of the texts are mistaken."""


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "t.jsonl", [{"text": text, "label": label} for label, texts in TOPICS.items() for text in texts])


def test_scores_agree_with_the_predictions(headstart: Run, topics: Path, base_folder: Path) -> None:
    told = headstart("eval", topics, "--learner", "prototypes", "--shots", 2, "--base", base_folder, "--json")
    assert (told.code, told.err) == (0, "")
    facts = told.json
    agreed = {
        "learner": "prototypes",
        "shots": 2,
        "folds": None,
        "ways": 3,
        "seed": 0,
        "adapter": None,
        "base": str(base_folder),
        "depth": 3,
    }
    assert agreed.items() <= facts.items()
    right = [p["got"] == p["expected"] for p in facts["predictions"]]
    assert facts["count"] == len(right) == sum(map(len, TOPICS.values())) - 3 * 2
    assert facts["exact_match"] == sum(right) / len(right)
    assert 1 / 3 < facts["exact_match"] <= 1
    low, high = facts["exact_match_interval"]
    assert low <= facts["exact_match"] <= high
    assert facts["loss"] > 0
    assert all(p["prompt"] in TOPICS[p["expected"]] for p in facts["predictions"])


def test_neighbours_and_chance_stand_beside_with_an_interval_over_draws(headstart: Run, topics: Path, base_folder: Path) -> None:
    words = ("eval", topics, "--shots", 2, "--base", base_folder, "--json")
    facts, other = (headstart(*words, "--learner", learner).json for learner in ("prototypes", "neighbour"))
    assert list(facts["compared"]) == ["prototypes", "neighbour"]
    assert facts["compared"] == other["compared"]
    for each in (facts, other):
        assert each["compared"][each["learner"]]["draws"][0] == each["exact_match"]
    for spread in facts["compared"].values():
        assert len(spread["draws"]) == DRAWS
        assert spread["mean"] == pytest.approx(sum(spread["draws"]) / DRAWS)
        assert spread["interval"][0] <= spread["mean"] <= spread["interval"][1]
    assert facts["chance"] == 1 / 3
    assert facts["commonest"] == max(Counter(p["expected"] for p in facts["predictions"]).values()) / facts["count"]


def test_classes_say_what_they_are_taken_for(headstart: Run, tmp_path: Path, base_folder: Path) -> None:
    mixed = write_jsonl(tmp_path / "mixed.jsonl", MIXED)
    facts = headstart("eval", mixed, "--learner", "neighbour", "--shots", 1, "--base", base_folder, "--json").json
    pairs = Counter((p["expected"], p["got"]) for p in facts["predictions"])
    assert sum(pairs[pair] for pair in pairs if pair[0] != pair[1]) > 0
    for row in facts["classes"]:
        label = row["label"]
        assert row["right"] == pairs[label, label]
        assert row["count"] == sum(n for (wanted, _), n in pairs.items() if wanted == label)
        assert row["answered"] == sum(n for (_, got), n in pairs.items() if got == label)
        assert row["taken_for"] == {got: n for (wanted, got), n in pairs.items() if wanted == label != got}
    mistakes = [row["count"] - row["right"] for row in facts["classes"]]
    assert mistakes == sorted(mistakes, reverse=True)


def test_a_text_of_several_labels_is_neither_shown_nor_asked(headstart: Run, tmp_path: Path, base_folder: Path) -> None:
    both = write_jsonl(tmp_path / "both.jsonl", [*MIXED, {"text": "gh", "label": "x"}, {"text": "gh", "label": "y"}])
    told = headstart("eval", both, "--learner", "neighbour", "--base", base_folder, "--json")
    assert (told.code, told.err) == (0, "left out: 1 text of several labels\n")
    assert len(told.json["predictions"]) == len(MIXED)


def test_without_shots_every_example_is_held_out_once(headstart: Run, topics: Path, base_folder: Path) -> None:
    facts = headstart("eval", topics, "--learner", "prototypes", "--base", base_folder, "--json").json
    assert (facts["shots"], facts["folds"], facts["count"]) == (None, 10, sum(map(len, TOPICS.values())))
    assert [p["prompt"] for p in facts["predictions"]] == [text for texts in TOPICS.values() for text in texts]
    assert facts["compared"]["prototypes"] == {"mean": facts["exact_match"], "interval": None, "draws": [facts["exact_match"]]}


def test_a_draw_is_told_by_its_seed(headstart: Run, topics: Path, base_folder: Path) -> None:
    words = ("eval", topics, "--learner", "prototypes", "--shots", 2, "--base", base_folder, "--json", "--seed")
    first, again, next_one = (headstart(*words, seed).json for seed in (0, 0, 1))
    assert first["predictions"] == again["predictions"] != next_one["predictions"]
    assert next_one["compared"]["prototypes"]["draws"][:-1] == first["compared"]["prototypes"]["draws"][1:]


def test_people_are_told_the_same(headstart: Run, topics: Path, base_folder: Path) -> None:
    words = ("eval", topics, "--learner", "prototypes", "--shots", 2, "--base", base_folder)
    facts, told = headstart(*words, "--json").json, headstart(*words)
    assert told.code == 0
    for fact in (
        f"accuracy {100 * facts['exact_match']:.1f} %",
        "in 5 draws of these texts)",
        "neighbour",
        "chance       33.3 %",
        "Classes, most mistakes first",
    ):
        assert fact in told.out


def test_an_adapter_changes_the_features(headstart: Run, topics: Path, base_folder: Path, tiny: Base, home: Path) -> None:
    net = text_net(tiny)
    rng = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(w.shape, generator=rng) * 0.3 for name, w in net.blank(0).items()}
    net.net.remove()
    Shelf(home / "adapters").write("bent", weights, {"base": vars(key_of(tiny))}, layers=4)
    words = ("eval", topics, "--learner", "prototypes", "--shots", 1, "--base", base_folder, "--json")
    bare, bent = headstart(*words).json, headstart(*words, "--adapter", "bent").json
    assert (bare["adapter"], bent["adapter"]) == (None, "bent")
    assert bare["loss"] != bent["loss"]


def refused(headstart: Run, tmp_path: Path, rows: list[dict[str, Any]], *words: object) -> str:
    told = headstart("eval", write_jsonl(tmp_path / "bad.jsonl", rows), "--learner", "prototypes", "--base", tmp_path / "unread", *words)
    assert (told.code, told.out) == (1, "")
    assert "Traceback" not in told.err
    return told.err


def test_files_that_tell_no_classes_apart_are_refused_before_the_base_is_loaded(headstart: Run, tmp_path: Path) -> None:
    rows = [{"text": f"{label} {i}", "label": label} for label, n in (("red", 4), ("green", 1), ("blue", 2)) for i in range(n)]
    assert "All examples have the label 'red'" in refused(headstart, tmp_path, rows[:4])
    assert "--shots 2 needs 3 examples of a class; 2 of 3 classes have fewer: green (1), blue (2)." in refused(
        headstart, tmp_path, rows, "--shots", 2
    )
    assert "Holding each example out once needs 2 examples of a class; 1 of 3" in refused(headstart, tmp_path, rows)
    assert 'line 1: has no "label"' in refused(headstart, tmp_path, [{"text": "a"}])
    assert "is empty" in refused(headstart, tmp_path, [])
    assert "There is no adapter 'x'" in refused(headstart, tmp_path, rows, "--adapter", "x")


@pytest.mark.parametrize("words", [("--learner", "maml"), ("--learner", "prototypes", "--shots", "0")])
def test_wrong_usage_exits_with_2(headstart: Run, topics: Path, words: tuple[str, ...]) -> None:
    assert headstart("eval", topics, *words).code == 2
