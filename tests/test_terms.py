from hypothesis import given
from hypothesis import strategies as st

from headstart.terms import bundles, counted, doubled, upper_third


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 100))
def test_bundles_hold_every_row_once_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    groups = bundles(lengths, budget)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) * max(lengths[i] for i in group) <= budget or len(group) == 1


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 100))
def test_bundles_go_from_short_to_long(lengths: list[int], budget: int) -> None:
    flat = [lengths[i] for group in bundles(lengths, budget) for i in group]
    assert flat == sorted(lengths)


def test_rows_that_fit_together_are_bundled_together() -> None:
    assert bundles([4, 2, 4, 9], 12) == [[1, 0, 2], [3]]


def test_room_doubles_until_it_is_enough() -> None:
    assert [doubled(4, wanted) for wanted in (0, 4, 5, 17)] == [4, 4, 8, 32]


def test_one_thing_is_told_as_one() -> None:
    assert [counted(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert [counted(n, "class") for n in (1, 2)] == ["1 class", "2 classes"]


def test_the_upper_third_is_a_layer_at_least() -> None:
    assert [list(upper_third(layers)) for layers in (1, 2, 5, 6)] == [[0], [1], [4], [4, 5]]
