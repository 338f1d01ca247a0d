"""Classes dealt out: every class once, in the shares asked for, by name and not by order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import TasksError
from headstart.tasks.splits import SHARES, deal

CLASSES = {f"class {i}": i for i in range(100)}


@given(st.integers(3, 200), st.integers(0, 3))
def test_every_class_is_in_one_split_and_every_split_has_one(count: int, seed: int) -> None:
    classes = {f"class {i}": i for i in range(count)}
    dealt = deal(classes, seed=seed)
    assert all(dealt.values())
    assert sorted(i for side in dealt.values() for i in side.values()) == list(range(count))


def test_shares_that_add_up_to_the_classes_are_exact() -> None:
    assert {split: len(side) for split, side in deal(CLASSES).items()} == dict(SHARES)
    many = {str(i): i for i in range(1623)}
    assert [len(side) for side in deal(many, {"train": 1100, "validation": 100, "test": 423}).values()] == [1100, 100, 423]


@given(st.permutations(list(CLASSES)))
def test_the_order_of_the_classes_does_not_matter(order: list[str]) -> None:
    assert deal({name: CLASSES[name] for name in order}) == deal(CLASSES)


def test_another_seed_deals_otherwise() -> None:
    assert deal(CLASSES, seed=1)["test"].keys() != deal(CLASSES)["test"].keys()


def test_fewer_classes_than_splits_are_refused() -> None:
    with pytest.raises(TasksError, match=r"2 classes cannot be dealt out to train, validation, test: at least 3"):
        deal({"a": 1, "b": 2})
