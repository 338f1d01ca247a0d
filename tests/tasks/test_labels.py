"""Labels: classes in turn, names that are drawn anew, and texts that are of one class and one split."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from headstart.errors import TasksError
from headstart.tasks.family import SPLITS
from headstart.tasks.labels import Labels
from headstart.tasks.words import side_of


def write(path: Path, classes: int = 40, texts: int = 40) -> Path:
    rows = [{"text": f"text {i} of {c}", "label": f"class {c}"} for c in range(classes) for i in range(texts)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def family(tmp_path: Path) -> Labels:
    return Labels.read(write(tmp_path / "t.jsonl"))


def true(prompt: str) -> str:
    return prompt.split(" of ")[-1]


def test_the_support_shows_every_class_in_turn_and_labels_are_one_to_one(family: Labels) -> None:
    ways = Counter()
    for split in SPLITS:
        for number in range(40):
            lesson = family.lesson(split, number, 12, 4)
            labels = [example.completion for example in lesson.support]
            n = len(set(labels))
            ways[n] += 1
            for begin in range(0, 12 - n + 1, n):
                assert len(set(labels[begin : begin + n])) == n
            assert len({(true(e.prompt), e.completion) for e in (*lesson.support, *lesson.query)}) == n
    assert set(ways) == {2, 3, 4, 5, 6}


def test_a_small_support_shows_the_classes_that_are_asked(family: Labels) -> None:
    for number in range(40):
        lesson = family.lesson("train", number, 2, 2)
        assert {e.completion for e in lesson.query} == {e.completion for e in lesson.support}


def test_names_are_real_in_a_third_and_else_letters_or_words_of_the_split(family: Labels) -> None:
    kinds = Counter()
    for split in SPLITS:
        for number in range(60):
            labels = {e.completion for e in family.lesson(split, number, 12, 4).support}
            kind = "own" if any(x.startswith("class ") for x in labels) else "letters" if all(len(x) == 1 for x in labels) else "words"
            kinds[kind] += 1
            if kind == "words":
                assert {side_of(label) for label in labels} == {"train" if split == "near" else split}
    assert set(kinds) == {"own", "letters", "words"}
    assert min(kinds.values()) > 50


def test_half_of_the_tasks_say_what_the_labels_are(family: Labels) -> None:
    told = 0
    for number in range(100):
        lesson = family.lesson("train", number, 12, 4)
        heads = {e.prompt.partition("\n\n")[0] if "\n\n" in e.prompt else "" for e in (*lesson.support, *lesson.query)}
        assert len(heads) == 1
        head = heads.pop()
        assert not head or all(e.completion in head for e in lesson.support)
        told += bool(head)
    assert 30 < told < 70


def test_near_asks_texts_that_training_never_shows(family: Labels) -> None:
    trained = {text for topic in family.topics["train"] for text in topic.shown}
    for topic in family.topics["near"]:
        assert not trained & set(topic.asked)
        assert len(topic.asked) + len(topic.shown) == 40


def test_texts_of_two_classes_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", classes=8)
    with path.open("a") as file:
        file.write('\n{"text": "text 0 of 0", "label": "class 1"}')
    family = Labels.read(path)
    assert family.doubtful == 1
    assert family.told() == "classes: 4 for training, 2 for validation, 2 for the test; left out: 1 text of several classes"
    assert "text 0 of 0" not in {text for topics in family.topics.values() for topic in topics for text in (*topic.asked, *topic.shown)}


def test_each_split_has_two_classes_or_the_file_is_refused(tmp_path: Path) -> None:
    family = Labels.read(write(tmp_path / "t.jsonl", classes=6))
    assert {split: len(family.topics[split]) for split in SPLITS} == {"train": 2, "validation": 2, "near": 2, "test": 2}
    with pytest.raises(TasksError, match="has 5 classes; 6 are needed"):
        Labels.read(write(tmp_path / "t.jsonl", classes=5))


def test_too_few_texts_are_told(family: Labels) -> None:
    with pytest.raises(TasksError, match="0 classes for test have 40 texts to show and 1 more to ask, and 2 are needed: 80 support"):
        family.lesson("test", 0, 80, 2)


def test_classes_that_texts_of_several_leave_empty_are_none(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": f"class {c}"} for c in range(5) for i in range(3)]
    rows += [{"text": f"text {i} of {c}", "label": f"class {c}"} for c in range(4, 8) for i in range(3)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(TasksError, match=r"has 4 classes; 6 are needed, .*\. Left out: 3 texts of several classes\."):
        Labels.read(tmp_path / "t.jsonl")
