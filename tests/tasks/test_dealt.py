"""Dealing: clean tasks, whole groups, and no example of a test in training."""

from __future__ import annotations

import pytest

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.dealt import Pool, dealt, held_out, tidy
from headstart.tasks.family import side_for
from headstart.tasks.task_files import Task
from headstart.tasks.words import Side


def task(name: str, pairs: dict[str, str], split: Side | None = None) -> Task:
    return Task(name, name, tuple(Example.pair(prompt, completion) for prompt, completion in pairs.items()), split)


def numbers(begin: int, end: int) -> dict[str, str]:
    return {f"n {i}": str(i) for i in range(begin, end)}


def test_repeats_count_once_and_two_answers_to_one_input_are_none() -> None:
    a, b, c = Example.pair("a", "1"), Example.pair("b", "2"), Example.pair("b", "3")
    assert tidy(Task("t", "t", (a, b, a, c))).examples == (a,)


def test_the_same_input_after_other_turns_is_another_input() -> None:
    short = Example.pair("b", "1")
    long = Example((("user", "a"), ("assistant", "x"), ("user", "b"), ("assistant", "2")))
    assert tidy(Task("t", "t", (short, long))).examples == (short, long)


def test_what_a_later_split_has_is_dropped_and_counted() -> None:
    tasks = [task("a", numbers(0, 30), "train"), task("b", numbers(20, 40), "validation"), task("c", numbers(35, 50), "test")]
    found = dealt(tasks)
    assert found.leaked == 10 + 5
    assert found.doubtful == 0
    assert {e.completion for e in found.pools["test"][0].asked} == set(map(str, range(35, 50)))
    assert {e.completion for e in found.pools["validation"][0].asked} == set(map(str, range(20, 35)))
    trained = {e for split in ("train", "near") for e in found.pools[split][0].asked}
    assert {e.completion for e in trained} == set(map(str, range(20)))


def test_the_same_input_with_another_output_is_no_leak() -> None:
    other = {prompt: completion + "!" for prompt, completion in numbers(0, 30).items()}
    assert dealt([task("a", numbers(0, 30), "train"), task("c", other, "test")]).leaked == 0


def test_doubtful_examples_are_counted_and_repeats_are_none() -> None:
    twice = Task("d", "d", (*task("d", numbers(0, 5)).examples, Example.pair("n 0", "zero"), Example.pair("n 1", "1")), "train")
    assert dealt([twice, task("c", numbers(9, 12), "test")]).doubtful == 2


def test_near_asks_what_training_never_shows_in_any_task() -> None:
    found = dealt([task("a", numbers(0, 200), "train"), task("b", numbers(100, 300), "train"), task("c", {"x": "y"}, "test")])
    asked = {e for pool in found.pools["near"] for e in pool.asked}
    trained = {e for pool in found.pools["train"] for e in pool.asked}
    assert not asked & trained
    assert len(asked | trained) == 300
    assert 30 < len(asked) < 90
    assert all(held_out(e.messages) for e in asked)
    assert [pool.shown for pool in found.pools["near"]] == [pool.shown for pool in found.pools["train"]]


def test_groups_are_dealt_whole_by_name_in_any_order() -> None:
    tasks = [Task(f"{g}/{t}", f"g{g}", (Example.pair(f"{g} {t}", "x"),)) for g in range(10) for t in range(3)]
    sides = [{pool.task.name for pool in dealt(some).pools["test"]} for some in (tasks, tasks[::-1])]
    assert sides[0] == sides[1]
    assert len(sides[0]) == 6
    assert {pool.task.name for pool in dealt(tasks, seed=1).pools["test"]} != sides[0]


@pytest.mark.parametrize(("count", "said"), [(1, "There is 1 group of"), (2, "There are 2 groups of")])
def test_fewer_groups_than_splits_are_refused(count: int, said: str) -> None:
    with pytest.raises(TasksError, match=said):
        dealt([task(f"t{i}", {"a": "b"}) for i in range(count)])


def test_a_pool_knows_what_it_has() -> None:
    whole = task("t", numbers(0, 5))
    same = Pool(whole, whole.examples, whole.examples)
    assert same.has(3, 2)
    assert not same.has(4, 2)
    apart = Pool(whole, whole.examples[:2], whole.examples[2:])
    assert apart.has(3, 2)
    assert not apart.has(2, 3)
    assert not apart.has(4, 1)


def test_near_speaks_in_trainings_words() -> None:
    assert [side_for(split) for split in ("train", "validation", "near", "test")] == ["train", "validation", "train", "test"]
