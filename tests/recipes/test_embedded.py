"""Labelled texts as tasks: an embedding reads them, and is meta-trained by the outer loop as any other net is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.episode import Tasks
from headstart.errors import TasksError
from headstart.learners.metric import Prototypical
from headstart.lm.features import PAD, Features, tokens_of
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.recipes import embedded
from headstart.recipes.assemble import assemble, settle
from headstart.terms import ALL_LINEAR
from headstart.train.meta import Watch, begin, meta_train
from headstart.train.outer import Outer
from headstart.train.score import score
from tests.conftest import write_jsonl


def text_tasks(path: Path, base: Base, ways: int = 5, shots: int = 1, queries: int = 15, seed: int = 0) -> Tasks:
    train = {"train_ways": None, "train_shots": None, "train_queries": None}
    return embedded.sources({"data": path, "ways": ways, "shots": shots, "queries": queries, **train}, base, seed)[0][0]


TOPICS = {f"topic {letter}": [letter + " " + noise * 3 for noise in "pqrs"] for letter in "abcdefghij"}
"""What tells the topic is a letter, and most of a text is other letters that all topics share."""


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "t.jsonl", [{"text": text, "label": label} for label, texts in TOPICS.items() for text in texts])


def test_episodes_hold_the_tokens_of_texts_with_their_labels(topics: Path, tiny: Base) -> None:
    tasks = text_tasks(topics, tiny, ways=3, shots=2, queries=2)
    drawn = tasks.draw("train", 0, 5)
    assert drawn.support.inputs.shape[:2] == drawn.query.inputs.shape[:2] == (5, 6)
    whole = {tuple(t for t in row if t != PAD): label for label, texts in TOPICS.items() for row in tokens_of(tiny.chat, texts).tolist()}
    for inputs, targets in zip(drawn.query.inputs, drawn.query.targets, strict=True):
        labels = {(int(t), whole[tuple(i for i in row if i != PAD)]) for row, t in zip(inputs.tolist(), targets, strict=True)}
        assert len(labels) == 3


def test_splits_share_no_label_and_the_seed_is_of_the_tasks_alone(topics: Path, tiny: Base) -> None:
    one, other = text_tasks(topics, tiny, 2, 1, 1), text_tasks(topics, tiny, 2, 1, 1, seed=1)
    names = [name for held in one.splits.values() for name in held.names]
    assert sorted(names) == sorted(TOPICS)
    assert {split: held.names for split, held in one.splits.items()} == {split: held.names for split, held in other.splits.items()}
    draws = [tasks.draw("train", 0, 9).query.inputs for tasks in (one, text_tasks(topics, tiny, 2, 1, 1), other)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_text_of_two_labels_is_in_no_split(topics: Path, tiny: Base) -> None:
    with topics.open("a") as file:
        file.write(json.dumps({"text": TOPICS["topic a"][0], "label": "topic b"}) + "\n")
    train = {"train_ways": None, "train_shots": None, "train_queries": None}
    (held, _), doubtful = embedded.sources({"data": topics, "ways": 2, "shots": 1, "queries": 1, **train}, tiny, 0)
    assert doubtful == 1
    assert sum(int(it.counts.sum()) for it in held.splits.values()) == 39


def test_labels_that_have_no_text_of_their_own_are_left_out(topics: Path, tiny: Base) -> None:
    rows = [{"text": text, "label": "all"} for texts in list(TOPICS.values())[:3] for text in texts]
    with topics.open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    names = [name for held in text_tasks(topics, tiny, 2, 1, 1).splits.values() for name in held.names]
    assert sorted(names) == sorted(TOPICS)[3:]
    with topics.open("a") as file:
        file.write("".join(json.dumps({"text": text, "label": "all"}) + "\n" for texts in list(TOPICS.values())[3:8] for text in texts))
    with pytest.raises(TasksError, match="Left out: 32 texts of several labels"):
        text_tasks(topics, tiny, 2, 1, 1)
    with topics.open("a") as file:
        file.write("".join(json.dumps({"text": text, "label": "all"}) + "\n" for texts in list(TOPICS.values())[8:] for text in texts))
    with pytest.raises(TasksError, match="All of the 40 texts are of several labels"):
        text_tasks(topics, tiny, 2, 1, 1)


def test_an_embedding_is_meta_trained_by_the_outer_loop(topics: Path, tiny: Base) -> None:
    net = Features(Grafted(tiny.model, ALL_LINEAR, [0, 1, 2]), depth=3)
    learner, tasks = Prototypical(net, measure="centred"), text_tasks(topics, tiny, 2, 1, 3)
    outer, watch = Outer(steps=8, batch=4, rate=0.01), Watch(every=100)
    judge = lambda meta: score(learner, meta, tasks, "validation", 8)  # noqa: E731
    meta = learner.begin(0)
    [*_, last] = meta_train(learner, tasks, outer, watch, judge, begin(meta, outer))
    losses = [float(learner.meta_gradient(m, tasks.draw("train", 1000, 20))[1].mean()) for m in (meta, last.meta)]
    net.net.remove()
    assert losses[1] < 0.5 * losses[0]
    assert {name.rpartition(".")[2] for name in meta} == {"lora_A", "lora_B", "log_scale"}


def test_more_ways_than_there_are_classes_are_refused(topics: Path, tiny: Base) -> None:
    with pytest.raises(TasksError, match="5 ways were asked for; 'validation' has 2 classes"):
        text_tasks(topics, tiny, ways=5).draw("validation", 0, 1)


@pytest.mark.parametrize("learner", [*({"kind": kind} for kind in embedded.LEARNERS), {"kind": "matching", "context": 1}])
def test_every_learner_from_features_is_assembled(topics: Path, tiny: Base, learner: dict[str, Any]) -> None:
    shown = {"kind": "topics", "data": str(topics), "ways": 2, "queries": 1}
    job = assemble(settle({"tasks": shown, "learner": learner, "net": {"rank": 2}, "device": "cpu"}), tiny)
    _, losses = job.learner.meta_gradient(job.begin().meta, job.tasks.draw("train", 0, 2))
    getattr(job.learner, "net").net.remove()  # noqa: B009
    assert losses.isfinite().all()
