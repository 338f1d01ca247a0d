"""`headstart meta-train` on texts: what a language model's run leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.commands import meta_train as command
from headstart.lm.tiny import tiny_base
from headstart.teach.recipe import Recipe
from tests.conftest import Told

pytestmark = pytest.mark.usefixtures("quick")
Run = Callable[..., Told]


def test_a_language_model_s_run_leaves_a_start_that_adapt_begins_from(
    headstart: Run, base_folder: Path, tmp_path: Path, home: Path
) -> None:
    config = tmp_path / "toy.toml"
    config.write_text(
        '[tasks]\nkind = "apis"\nshots = 2\nqueries = 1\n[learner]\nkind = "in-context"\n[outer]\nsteps = 2\nbatch = 1\n'
        f"[net]\nbase = {json.dumps(str(base_folder))}\nrank = 2\n[evaluate]\nevery = 2\ntasks = 1\ntest = 2\n"
    )
    made = headstart("meta-train", config, "--json")
    assert made.code == 0, made.err
    assert made.json["start"] == "toy"
    assert made.json["start_path"] == str(home / "starts" / "toy")
    assert made.json["start_steps"] in (5, 10)
    listed = headstart("starts", "--json").json["starts"]
    assert {"name": "toy", "about": "apis", "problem": ""}.items() <= next(s for s in listed if s["name"] == "toy").items()
    assert "toy" in headstart("starts").out
    examples = tmp_path / "hues.jsonl"
    examples.write_text("".join(json.dumps({"prompt": w, "completion": w[0].upper()}) + "\n" for w in ("red", "green", "blue", "black")))
    words = ("adapt", examples, "--base", base_folder, "--json")
    begun = headstart(*words, "--name", "begun", "--start", "toy", "--steps", 1)
    assert begun.code == 0, begun.err
    assert (begun.json["start"], begun.json["steps"]) == ("toy", 1)
    chosen = headstart(*words, "--name", "chosen", "--steps", 1)
    assert chosen.code == 0, chosen.err
    assert set(chosen.json["glances"]) == {"none", "toy"}
    assert chosen.json["start"] == min(chosen.json["starts"], key=chosen.json["starts"].get)
    again = headstart("meta-train", config, "--json")
    assert again.code == 0, again.err
    assert again.json["steps"] == 2


def test_a_run_does_not_begin_from_one_that_was_trained_on_what_judges_it(headstart: Run, base_folder: Path, tmp_path: Path) -> None:
    def write(name: str) -> None:
        rows = [{"prompt": f"{name} {i}", "completion": f"{i} {name}"} for i in range(8)]
        (tmp_path / "codes" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    (tmp_path / "codes").mkdir()
    for number in range(12):
        write(f"code{number}")
    small = ("tasks.shots=2", "tasks.queries=1", "outer.steps=1", "outer.batch=1", "evaluate.tasks=1", "evaluate.test=1", "net.rank=2")
    words = ("meta-train", "--tasks", tmp_path / "codes", "--learner", "in-context", *small, f"net.base={json.dumps(str(base_folder))}")
    assert headstart(*words, "--out", tmp_path / "first").code == 0
    assert headstart(*words, f"begin={tmp_path / 'first'}", "--out", tmp_path / "second").code == 0
    trained = json.loads((tmp_path / "first" / "tasks.json").read_text())["train"]
    for number in range(12, 19):
        write(f"code{number}")
    told = headstart(*words, f"begin={tmp_path / 'first'}", "--out", tmp_path / "third")
    assert told.code == 1
    assert "which was trained on what is held out here" in " ".join(told.err.split())
    assert any(f"{name} in" in told.err or f"{name}," in told.err for name in trained)
    told = headstart(*words, "--out", tmp_path / "first")
    came = ", ".join(f"texts=codes: code{number}" for number in range(12, 19))
    assert f"holds a run on other files: {came} came in" in " ".join(told.err.split())
    refused = "which was trained on what is held out here"
    shutil.move(tmp_path / "first", tmp_path / "aside")
    assert refused in headstart(*words, "begin=first", "--out", tmp_path / "third").err, "the start of that name"
    (tmp_path / "codes").rename(tmp_path / "renamed")
    mixed = (*words[:1], "tasks.kind=mixture", f"tasks.families=[{json.dumps('texts=' + str(tmp_path / 'renamed'))}]", *words[3:])
    assert refused in headstart(*mixed, f"begin={tmp_path / 'aside'}", "--out", tmp_path / "third").err


def test_an_embedding_of_texts_is_trained_and_worn(headstart: Run, base_folder: Path, tmp_path: Path, home: Path) -> None:
    labelled = tmp_path / "topics.jsonl"
    rows = [{"text": f"{letter} {noise * 3}", "label": f"topic {letter}"} for letter in "abcdefghij" for noise in "pqrs"]
    labelled.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ("tasks.kind=topics", "learner.kind=prototypes", "tasks.ways=2", "tasks.queries=2", f"tasks.data={labelled}")
    small = ("outer.steps=2", "outer.batch=1", "evaluate.every=2", "evaluate.tasks=2", "evaluate.test=2", "net.rank=2")
    made = headstart("meta-train", *settings, *small, f"net.base={json.dumps(str(base_folder))}", "--out", tmp_path / "senses", "--json")
    assert made.code == 0, made.err
    assert made.json["adapter_path"] == str(home / "adapters" / "senses")
    worn = headstart("eval", labelled, "--learner", "prototypes", "--shots", 2, "--adapter", "senses", "--base", base_folder, "--json")
    bare = headstart("eval", labelled, "--learner", "prototypes", "--shots", 2, "--base", base_folder, "--json")
    assert worn.code == bare.code == 0, worn.err
    again = headstart("meta-train", *settings, *small, f"net.base={json.dumps(str(base_folder))}", "--out", tmp_path / "senses", "--json")
    assert again.json["adapter_path"] == made.json["adapter_path"]
    refused = headstart("meta-train", *settings, "learner.kind=maml")
    assert "labelled texts are learnt from features alone" in refused.err


def test_files_that_were_large_enough_to_train_on_are_to_choose_steps_by(
    headstart: Run, base_folder: Path, tmp_path: Path, home: Path
) -> None:
    (tmp_path / "tasks").mkdir()
    for task in range(6):
        rows = [{"prompt": f"{task} {word}", "completion": word.upper()} for word in ("one", "two", "red")]
        (tmp_path / "tasks" / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sizes = ("--shots", 2, "tasks.queries=1", "outer.steps=1", "outer.batch=1", "evaluate.tasks=2", "evaluate.test=9", "net.rank=2")
    base = f"net.base={json.dumps(str(base_folder))}"
    made = headstart(
        "meta-train", "--tasks", tmp_path / "tasks", "--learner", "in-context", *sizes, base, "--out", tmp_path / "mine", "--json"
    )
    assert made.code == 0, made.err
    assert made.json["start"] == "mine"
    assert "tasks: 1 for training, 1 for validation, 1 for the test; left out: 3 tasks with too few examples" in made.err
    assert made.json["score"]["tasks"] < 3, "nine draws from the test's one or two files are no nine tasks"


def test_steps_are_chosen_on_a_task_of_every_turn(
    headstart: Run, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def tune(*given: Any) -> dict[Recipe, float]:
        asked.extend(lesson.family for lesson in given[3])
        return {Recipe(steps=0): 1.0}

    monkeypatch.setattr(command, "tune", tune)
    turns = ["apis", "apis", "apis", "dialects"]
    small = ("tasks.shots=1", "tasks.queries=1", "outer.steps=1", "outer.batch=1", "evaluate.tasks=1", "evaluate.test=1", "net.rank=2")
    words = ("meta-train", "tasks.kind=mixture", f"tasks.families={json.dumps(turns)}", "learner.kind=in-context", *small)
    words = (*words, f"net.base={json.dumps(str(base_folder))}", "--out", str(tmp_path / "both"))
    made = headstart(*words)
    assert (made.code, asked) == (0, turns), made.err

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "tune", interrupted)
    told = headstart(*words)
    assert (told.code, "stopped: meta-step 1 of 1 is kept in" in told.err) == (130, True)


def test_a_folder_of_images_with_lists_beside_them_is_one_of_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.JPG").touch()
    (tmp_path / "train.csv").touch()
    assert ("tasks.kind", "folder") in command._given({"tasks.kind": str(tmp_path)})
    (tmp_path / "images" / "a.JPG").unlink()
    assert ("tasks.kind", "texts") in command._given({"tasks.kind": str(tmp_path)})


def test_a_run_takes_no_taught_adapter_s_place(headstart: Run, base_folder: Path, tmp_path: Path, home: Path) -> None:
    examples = tmp_path / "hues.jsonl"
    examples.write_text("".join(json.dumps({"prompt": w, "completion": w[0].upper()}) + "\n" for w in ("red", "green", "blue")))
    assert headstart("adapt", examples, "--name", "mine", "--base", base_folder, "--steps", 1).code == 0
    words = ("meta-train", "tasks.kind=dialects", "learner.kind=in-context", f"net.base={json.dumps(str(base_folder))}", "--out")
    refused = headstart(*words, tmp_path / "mine")
    assert (refused.code, "so is an adapter on the shelf: give another --out" in refused.err) == (1, True)
    assert not (tmp_path / "mine").exists()
    assert "is no adapter name" in headstart(*words, tmp_path / "a b").err


def test_what_was_trained_on_one_base_is_not_gone_on_with_on_another(
    headstart: Run, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "keep_start", lambda *_: {})
    mine, other = tiny_base(tmp_path / "mine"), tiny_base(tmp_path / "other", seed=1)
    small = ("tasks.shots=1", "tasks.queries=1", "outer.steps=1", "outer.batch=1", "evaluate.tasks=1", "evaluate.test=1", "net.rank=2")
    words = ("meta-train", "tasks.kind=apis", "learner.kind=in-context", *small)
    first = (*words, f"net.base={json.dumps(str(mine))}", "--out", home / "runs" / "first")
    assert headstart(*first).code == 0
    on = (*words, "begin=first", "--out", tmp_path / "on")
    assert headstart(*on, f"net.base={json.dumps(str(mine))}", "--fresh").code == 0
    refused = "the base's weights (there "
    assert refused in headstart(*on, f"net.base={json.dumps(str(other))}", "--fresh").err
    shutil.rmtree(mine)
    other.rename(mine)
    told = headstart(*first)
    assert (told.code, refused in told.err) == (1, True)
    assert headstart(*first, "--fresh").code == 0
