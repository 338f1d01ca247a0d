"""Lessons as a language model's episodes, and the job that a config of text tasks makes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.errors import SettingsError, TasksError
from headstart.learners.direct import Direct
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.tiny import tiny_model, tiny_tokenizer
from headstart.recipes import spoken
from headstart.recipes.assemble import assemble, settle
from headstart.recipes.filing import of_family
from headstart.recipes.lessons import Lessons
from headstart.tasks.sql import Dialects
from headstart.train.meta import meta_train

CHAT = Chat(tiny_tokenizer(), 4096)
SOURCE = Lessons(Dialects(), CHAT, shots=4, queries=2)
SMALL = {"kind": "dialects", "shots": 2, "queries": 1}


def test_held_questions_stand_behind_the_support_and_their_answers_alone_count() -> None:
    drawn = SOURCE.draw("validation", 3, 2)
    lesson = Dialects().lesson("validation", 3, 4, 2)
    assert drawn.support.rows[0] == (CHAT.chain(lesson.support),)
    assert drawn.query.rows[0] == tuple(CHAT.lay(e, lesson.support) for e in lesson.query)
    assert [row.earlier for row in drawn.query.rows[0]] == [(), ()]


def test_training_takes_every_answer_of_a_shuffled_conversation() -> None:
    drawn = replace(SOURCE, whole=True).draw("train", 5, 1)
    (row,) = drawn.query.rows[0]
    lesson = Dialects().lesson("train", 5, 4, 2)
    answers = [CHAT.letters.text([row.tokens[target] for target in row.targets])]
    assert all(example.completion in answers[0] for example in (*lesson.support, *lesson.query))
    assert row == replace(SOURCE, whole=True).draw("train", 4, 3).query.rows[1][0], "an order belongs to its task"


def test_pairs_stand_alone() -> None:
    lesson = Dialects().lesson("train", 0, 4, 2)
    alone = tuple(CHAT.lay(e) for e in (*lesson.support, *lesson.query))
    assert replace(SOURCE, form="pairs", whole=True).draw("train", 0, 1).query.rows[0] == alone
    assert replace(SOURCE, form="pairs").draw("train", 0, 1).query.rows[0] == alone[4:]


@pytest.mark.parametrize("form", [{"whole": True}, {}, {"form": "pairs", "whole": True}])
def test_a_support_that_is_too_long_loses_its_end(form: dict[str, Any]) -> None:
    source = replace(SOURCE, **form)
    shorter = replace(source, shots=2).draw("train", 0, 1)
    room = max(*shorter.support.sizes, *shorter.query.sizes)
    fits = replace(source, chat=Chat(CHAT.tokenizer, room)).draw("train", 0, 1)
    if source.form == "chain":
        assert (fits.support.rows, fits.query.rows) == (shorter.support.rows, shorter.query.rows)
    assert max(*fits.support.sizes, *fits.query.sizes) <= room
    with pytest.raises(TasksError, match=r"Task 0 of train has a conversation of \d+ tokens .* and the base holds 50: "):
        replace(source, chat=Chat(CHAT.tokenizer, 50)).draw("train", 0, 1)


@pytest.fixture
def tiny_base() -> Base:
    return Base("tiny", tiny_model("llama"), CHAT, "none")


@pytest.mark.parametrize("kind", ["in-context", "multi-task", "fomaml", "maml", "lslr", "reptile"])
def test_a_config_makes_a_job_that_learns(tiny_base: Base, kind: str) -> None:
    config: dict[str, Any] = {"tasks": SMALL, "learner": {"kind": kind}, "outer": {"steps": 2, "batch": 2}, "net": {"lowest": 1, "rank": 2}}
    job = assemble(settle(config | {"evaluate": {"tasks": 2, "test": 2, "every": 2}}), tiny_base)
    begun = job.begin()
    *_, state = meta_train(job.learner, job.place.tasks(job.tasks), job.outer, job.watch, job.judge, begun)
    assert state.score is not None
    assert state.score.metric == "exact match"
    assert any(not torch.equal(w, begun.meta[name]) for name, w in state.meta.items())
    assert list(job.examine(state.meta))


def test_training_on_the_same_lessons_makes_them_likelier(tiny_base: Base) -> None:
    learner = Direct(spoken.bent({"rank": 4, "lowest": 0}, tiny_base))
    drawn, meta = replace(SOURCE, whole=True).draw("train", 0, 2), learner.begin(0)
    losses = []
    for _ in range(8):
        gradient, loss = learner.meta_gradient(meta, drawn)
        losses.append(float(loss.mean()))
        meta = {name: w - 2.0 * gradient[name] for name, w in meta.items()}
    assert losses[-1] < losses[0] - 0.01


def test_multi_task_trains_on_examples_alone_and_is_judged_with_them_in_front(tiny_base: Base) -> None:
    jobs = {kind: assemble(settle({"tasks": SMALL, "learner": {"kind": kind}}), tiny_base) for kind in ("multi-task", "in-context")}
    drawn = {kind: (job.tasks.draw("train", 0, 1), job.held.draw("validation", 0, 1)) for kind, job in jobs.items()}
    lesson = Dialects().lesson("train", 0, 2, 1)
    assert drawn["multi-task"][0].query.rows[0] == tuple(CHAT.lay(e) for e in (*lesson.support, *lesson.query))
    assert len(drawn["in-context"][0].query.rows[0]) == 1
    assert drawn["multi-task"][1].query.rows == drawn["in-context"][1].query.rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net": {"kind": "mlp"}}, "these tasks are read by 'lm'"),
        ({"learner": {"kind": "mann"}}, "cannot bend a language model; maml, fomaml, lslr, reptile, in-context, multi-task can"),
        ({"tasks": {"kind": "sine"}, "net": {"kind": "lm"}, "learner": {"kind": "maml"}}, "these tasks are read by 'mlp'"),
        ({"evaluate": {"alone": True}}, "evaluate.alone is true, and a language model is asked each question alone anyway"),
        ({"tasks": {"kind": "sine"}}, "which learns from texts, and 'sine' are none"),
        ({"tasks": {"kind": "sine"}, "learner": {"kind": "multi-task"}}, "which learns from texts, and 'sine' are none"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settle({"tasks": SMALL, "learner": {"kind": "in-context"}} | changes)


@pytest.mark.parametrize(("name", "count"), [("shots", 0), ("shots", -1), ("queries", 0)])
def test_a_task_shows_and_asks_something(tiny_base: Base, name: str, count: int) -> None:
    with pytest.raises(SettingsError, match=f"tasks.{name} is {count}; 1 or more is wanted"):
        assemble(settle({"tasks": SMALL | {name: count}, "learner": {"kind": "maml"}}), tiny_base)


def test_a_layer_that_is_not_there_is_refused(tiny_base: Base) -> None:
    with pytest.raises(SettingsError, match="lowest is 99"):
        spoken.bent({"lowest": 99}, tiny_base)
    assert isinstance(spoken.bent({}, tiny_base), Grafted)


@pytest.mark.parametrize("kind", ["apis", "engines", "texts"])
def test_other_families_are_trained_on_alike(tiny_base: Base, tmp_path: Path, kind: str) -> None:
    for task in range(20):
        rows = [{"prompt": f"{task} {word}", "completion": f"{word}{task}"} for word in ("ab", "cd", "ef", "gh", "ij", "kl")]
        (tmp_path / f"task{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"tasks": {"kind": kind, "shots": 2, "queries": 1}, "learner": {"kind": "in-context"}, "net": {"lowest": 1, "rank": 2}}
    config["tasks"] |= {"data": str(tmp_path)} if kind == "texts" else {}
    job = assemble(settle(config | {"outer": {"steps": 1, "batch": 2}, "evaluate": {"tasks": 2, "test": 2}}), tiny_base)
    begun = job.begin()
    *_, state = meta_train(job.learner, job.place.tasks(job.tasks), job.outer, job.watch, job.judge, begun)
    assert any(not torch.equal(w, begun.meta[name]) for name, w in state.meta.items())


def test_the_seed_draws_other_training_lessons_of_files_too(tmp_path: Path) -> None:
    write_tasks(tmp_path / "said.jsonl")
    make = spoken.KINDS["texts"].make
    one, other = (make({"data": tmp_path / "said.jsonl", "shots": 2}, seed) for seed in (0, 1))
    drawn = [[family.lesson("train", number, 2, 1) for number in range(20)] for family in (one, other)]
    assert drawn[0] != drawn[1]
    assert of_family("texts", tmp_path, one, 2, 1).sides == of_family("texts", tmp_path, other, 2, 1).sides


def test_what_lies_in_files_is_told_by_split(tmp_path: Path) -> None:
    write_tasks(tmp_path / "said.jsonl")
    values = {"families": ["dialects", f"texts={tmp_path / 'said.jsonl'}"], "shots": 2}
    read = of_family("mixture", None, spoken.KINDS["mixture"].make(values, 0), 2, 1)
    assert sorted(name for names in read.sides.values() for name in names) == [f"texts=said.jsonl: g{n}" for n in range(6)]
    alone = of_family("texts", tmp_path / "said.jsonl", spoken.KINDS["texts"].make({"data": tmp_path / "said.jsonl", "shots": 2}, 0), 2, 1)
    assert alone.sides == read.sides
    assert read.told == (f"texts={tmp_path / 'said.jsonl'}: tasks: 4 for training, 1 for validation, 1 for the test",)


def write_tasks(path: Path) -> None:
    rows = [{"task": f"t{n}", "group": f"g{n}", "examples": [[f"say {n} {i}", f"{i}"] for i in range(9)]} for n in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_mixture_names_its_families(tmp_path: Path) -> None:
    write_tasks(tmp_path / "said.jsonl")
    named = ["dialects", f"texts={tmp_path / 'said.jsonl'}", "dialects"]
    family = spoken.KINDS["mixture"].make({"families": named, "shots": 2}, 0)
    ours, theirs = family.lesson("train", 2, 2, 1), Dialects(0).lesson("train", 1, 2, 1)
    assert (ours.support, ours.query) == (theirs.support, theirs.query)
    assert family.lesson("train", 1, 2, 1).query[0].messages[0][1].startswith("say ")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ([], "one at least is wanted"),
        (["dialect"], "'dialect'; there are dialects"),
        (["texts"], 'lies in files: "texts=PLACE" is wanted'),
        (["dialects=here"], "made up, and lies in no files"),
    ],
)
def test_a_mixture_refuses_what_it_cannot_draw_from(named: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        spoken.KINDS["mixture"].make({"families": named, "shots": 2}, 0)
