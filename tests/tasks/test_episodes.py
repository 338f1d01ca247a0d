"""N-way K-shot episodes: what is in them, what is never in them, and that a number names one task."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.episode import Labelled, Tasks
from headstart.errors import TasksError
from headstart.tasks.episodes import ClassTasks, Held

# Every example's only feature says whose it is: 100 * class + number.
COUNTS = {"train": [12, 9, 30, 10, 9, 14, 9], "validation": [9] * 5, "test": [9] * 5}


def held(counts: list[int], begin: int = 0) -> Held:
    return Held.of({f"class {c}": 100.0 * (begin + c) + torch.arange(n, dtype=torch.float64)[:, None] for c, n in enumerate(counts)})


SPLITS = {split: held(counts, begin=10 * i) for i, (split, counts) in enumerate(COUNTS.items())}
TASKS = ClassTasks(SPLITS, ways=4, shots=2, queries=3)


def owners(side: Labelled) -> torch.Tensor:
    return side.inputs[..., 0].long() // 100


def test_an_episode_has_its_ways_shots_and_queries() -> None:
    episodes = TASKS.draw("train", 0, 20)
    for side, each in ((episodes.support, 2), (episodes.query, 3)):
        assert side.inputs.shape == (20, 4 * each, 1)
        assert side.targets.shape == (20, 4 * each)
        for i in range(20):
            assert side.targets[i].bincount().tolist() == [each] * 4


def test_a_target_names_one_class_of_the_task_in_support_and_query_alike() -> None:
    episodes = TASKS.draw("train", 0, 50)
    for i in range(50):
        pairs = [
            (int(t), int(c)) for side in (episodes.support, episodes.query) for t, c in zip(side.targets[i], owners(side)[i], strict=True)
        ]
        assert len(set(pairs)) == len({t for t, _ in pairs}) == len({c for _, c in pairs}) == 4


def test_no_example_comes_twice_in_a_task() -> None:
    episodes = ClassTasks(SPLITS, ways=5, shots=4, queries=5).draw("validation", 0, 50)
    together = torch.cat([episodes.support.inputs, episodes.query.inputs], 1)[..., 0]
    # Each class has just the 4 + 5 examples, so a task holds every one of them, once.
    assert all(len(row.unique()) == 45 for row in together)


def test_splits_have_no_class_in_common() -> None:
    seen = {split: set(owners(TASKS.draw(split, 0, 100).query).flatten().tolist()) for split in SPLITS}
    assert seen["train"] == set(range(7))
    assert seen["validation"] == set(range(10, 15))
    assert seen["test"] == set(range(20, 25))


@given(st.integers(0, 10**12), st.integers(1, 6), st.sampled_from(list(SPLITS)))
def test_tasks_drawn_together_equal_tasks_drawn_one_by_one(first: int, count: int, split: str) -> None:
    tasks: Tasks = TASKS
    together = tasks.draw(split, first, count)
    for i in range(count):
        one = tasks.draw(split, first + i, 1)
        for side, other in ((one.support, together.support), (one.query, together.query)):
            assert torch.equal(side.inputs[0], other.inputs[i])
            assert torch.equal(side.targets[0], other.targets[i])


def test_other_numbers_and_seeds_are_other_tasks() -> None:
    inputs = TASKS.draw("train", 0, 20).query.inputs
    assert len(inputs.flatten(1).unique(dim=0)) == 20
    assert not torch.equal(inputs, replace(TASKS, seed=1).draw("train", 0, 20).query.inputs)


def test_classes_take_every_target_and_examples_every_place() -> None:
    episodes = TASKS.draw("test", 0, 2000)
    for side, each in ((episodes.support, 2), (episodes.query, 3)):
        table = torch.zeros(25, 4)
        table.index_put_((owners(side).flatten(), side.targets.flatten()), torch.ones(1), accumulate=True)
        wanted = 2000 * each * 4 / 20
        assert (table[20:] - wanted).abs().max() < 6 * wanted**0.5
        places = torch.stack([(side.targets == t).float().mean(0) for t in range(4)])
        assert (places - 1 / 4).abs().max() < 0.06


def test_all_examples_of_a_class_are_drawn_evenly_whatever_the_sizes_of_other_classes() -> None:
    inputs = TASKS.draw("train", 0, 3000).query.inputs.flatten().long()
    for c, n in enumerate(COUNTS["train"]):
        counts = (inputs[inputs // 100 == c] % 100).bincount(minlength=n)
        assert len(counts) == n
        mean = counts.float().mean()
        assert (counts - mean).abs().max() < 5 * mean.sqrt()


@pytest.mark.parametrize("shots", [1, 5])
def test_more_shots_add_to_the_support_and_leave_the_query_alone(shots: int) -> None:
    few, more = (replace(TASKS, shots=k).draw("train", 0, 10) for k in (shots, shots + 1))
    assert torch.equal(few.query.inputs, more.query.inputs)
    assert torch.equal(few.query.targets, more.query.targets)
    for i in range(10):
        assert set(few.support.inputs[i].flatten().tolist()) < set(more.support.inputs[i].flatten().tolist())


def test_more_ways_than_classes_are_refused() -> None:
    with pytest.raises(
        TasksError, match=r"6 ways were asked for; 'test' has 5 classes\. .* \(train 7, .*test 5\).*: ask for fewer ways, or give more"
    ):
        replace(TASKS, ways=6).draw("test", 0, 1)


def test_classes_with_too_few_examples_are_all_named() -> None:
    with pytest.raises(TasksError, match=r"4 shots and 6 queries need 10 examples of a class; in 'train' 3 of 7") as refused:
        ClassTasks(SPLITS, ways=2, shots=4, queries=6).draw("train", 0, 1)
    assert "class 1 (9), class 4 (9), class 6 (9)." in str(refused.value)


def test_of_many_classes_with_too_few_examples_ten_are_named_and_the_rest_counted() -> None:
    with pytest.raises(TasksError, match=r"class 9 \(2\), and 3 more\."):
        ClassTasks({"train": held([2] * 13)}, ways=2, shots=1, queries=2).draw("train", 0, 1)


def test_an_unknown_split_is_refused_with_the_nearest() -> None:
    with pytest.raises(TasksError, match=r"no split 'valid'; there are train, validation, test\. Nearest: validation"):
        TASKS.draw("valid", 0, 1)


@pytest.mark.parametrize("nothing", ["ways", "shots", "queries"])
def test_a_task_of_nothing_is_refused(nothing: str) -> None:
    with pytest.raises(TasksError, match="one way, shot and query at least"):
        replace(TASKS, **{nothing: 0})
