"""Lessons from collections: who is drawn how often, what a support shows first, and what is too small."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.collection import Collection, covering, mixed, same_words
from headstart.tasks.dealt import dealt
from headstart.tasks.task_files import Task
from headstart.tasks.words import Side


def task(name: str, group: str, size: int, split: Side | None = "train") -> Task:
    return Task(name, group, tuple(Example.pair(f"{name} {i}", f"{i}!") for i in range(size)), split)


def test_it_tells_how_many_tasks_are_large_enough_and_what_was_left_out() -> None:
    twice = (Example.pair("a 0", "zero"), Example.pair("a 0", "none"))
    large = Task("a", "a", (*task("a", "a", 40).examples, *twice), "train")
    tasks = [large, *(task(f"s{i}", "s", 3) for i in range(2)), task("v", "v", 20, "validation"), task("w", "w", 20, "test")]
    said = "tasks: 1 for training, 1 for validation, 1 for the test"
    assert (
        Collection(dealt(tasks), room=4).told(4, 2)
        == f"{said}; left out: 2 tasks with too few examples, 3 examples whose input has two answers"
    )
    shared = [
        task("a", "a", 40),
        task("v", "v", 20, "validation"),
        Task("w", "w", (*task("w", "w", 20).examples, Example.pair("a 1", "1!")), "test"),
    ]
    assert Collection(dealt(shared), room=4).told(4, 2) == f"{said}; left out: 1 example that a later split has too"
    assert Collection(dealt(shared[:1] + tasks[-2:]), room=4).told(4, 2) == said


def test_groups_come_equally_often_however_many_tasks_they_have() -> None:
    family = Collection(dealt([*(task(f"a{i}", "a", 40) for i in range(9)), task("b", "b", 40)]), room=4)
    drawn = Counter(family.drawn("train", number, 2, 2)[0].group for number in range(400))
    assert 160 < drawn["a"] < 240


def test_tasks_to_judge_by_come_each_once_before_any_comes_again() -> None:
    family = Collection(dealt([*(task(f"a{i}", "a", 40, "test") for i in range(6)), task("b", "b", 40, "test")]), room=4)
    drawn = [family.drawn("test", number, 2, 2) for number in range(21)]
    names = [found.name for found, _ in drawn]
    passes = [names[at : at + 7] for at in (0, 7, 14)]
    assert all(sorted(each) == [*(f"a{i}" for i in range(6)), "b"] for each in passes)
    assert passes[0] != passes[1] != passes[2]
    assert all("b" in each[:2] for each in passes), "groups come in turn"
    again = {found.name: lesson for found, lesson in drawn[7:14]}
    assert all(lesson != again[found.name] for found, lesson in drawn[:7]), "a task that comes again asks something else"


def test_tasks_without_room_are_left_out_for_every_smaller_support_too() -> None:
    family = Collection(dealt([task("small", "a", 8, "test"), task("large", "b", 20, "test")]), room=8)
    assert {family.drawn("test", number, 1, 2)[0].name for number in range(50)} == {"large"}
    assert {family.drawn("test", number, 18, 2)[0].name for number in range(50)} == {"large"}
    roomless = Collection(family.dealt, room=0)
    assert {roomless.drawn("test", number, 1, 2)[0].name for number in range(50)} == {"small", "large"}


def test_what_is_too_much_is_told_with_what_there_is() -> None:
    family = Collection(dealt([task("small", "a", 8, "test"), task("large", "b", 20, "test"), task("t", "t", 50)]), room=8)
    with pytest.raises(TasksError, match="19 support examples and 2 queries are wanted, and the largest, 'large', has 20 examples"):
        family.lesson("test", 0, 19, 2)
    with pytest.raises(TasksError, match="There is no task for validation; 8 support"):
        family.lesson("validation", 0, 1, 2)
    with pytest.raises(TasksError, match=r"to show and \d+ to ask"):
        family.lesson("near", 0, 1, 45)


def test_a_folder_and_its_chats_become_lessons(tmp_path: Path) -> None:
    turns = [("user", "hello"), ("assistant", "hi"), ("user", "say 1")]
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        rows = [
            {"messages": [{"role": r, "content": f"{c} {split} {i}"} for r, c in turns] + [{"role": "assistant", "content": str(i)}]}
            for i in range(12)
        ]
        (tmp_path / split / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lesson = Collection.read(tmp_path).lesson("test", 0, 8, 4)
    assert [len(example.messages) for example in (*lesson.support, *lesson.query)] == [4] * 12


def test_kinds_come_equally_often_until_they_are_used_up() -> None:
    examples = [Example.pair(str(i), "rare" if i % 10 == 0 else "common") for i in range(1000)]
    ordered = mixed(random.Random(0), examples, lambda e: e.completion)
    assert sorted(ordered, key=lambda e: int(e.prompt)) == examples
    assert 30 < sum(e.completion == "rare" for e in ordered[:100]) < 70


def test_what_is_wanted_comes_first_and_the_rest_keeps_its_order() -> None:
    examples = [Example.pair(name, name) for name in ("x", "a", "ab", "y", "c")]
    ordered = covering(examples, frozenset("abcz"), lambda e: frozenset(e.completion))
    assert [e.completion for e in ordered] == ["ab", "c", "x", "a", "y"]


def test_words_are_compared_without_their_spaces() -> None:
    assert same_words("a b\tc", " a  b c\n")
    assert not same_words("a b", "ab")
