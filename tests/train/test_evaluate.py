import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import ExamplesError
from headstart.train.evaluate import clearly_more, distinct, folds, interval, mean, mean_interval, share_interval, student


def test_the_interval_is_wilson_s() -> None:
    # z = 1.959964, z^2 = 3.841459.
    # 8 of 10: centre 0.8 + 3.841459/20 = 0.992073, spread 1.959964 * sqrt(0.16/10 + 3.841459/400) = 0.313626,
    # both over 1 + 0.3841459: 0.490162 and 0.943318.
    assert interval(0.8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    # 0 of 5: centre = spread = 3.841459/10, over 1 + 0.7682918: 0 and 0.434482.
    assert interval(0.0, 5) == pytest.approx((0.0, 0.434482), abs=1e-6)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_a_share(trials: tuple[int, int]) -> None:
    right, count = trials
    low, high = interval(right / count, count)
    assert 0 <= low <= right / count <= high <= 1


def test_the_interval_narrows_with_trials() -> None:
    widths = [high - low for low, high in (interval(0.5, n) for n in (1, 10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 20))
def test_folds_hold_every_index_once_and_are_even(count: int, parts: int, seed: int) -> None:
    dealt = folds(count, parts, seed)
    assert sorted(i for part in dealt for i in part) == list(range(count))
    assert len(dealt) == min(parts, count)
    assert all(dealt)
    assert max(map(len, dealt), default=0) - min(map(len, dealt), default=0) <= 1


def test_folds_are_dealt_by_seed() -> None:
    assert folds(20, 4, 1) == folds(20, 4, 1)
    assert folds(20, 4, 1) != folds(20, 4, 2)
    assert folds(20, 4) != [list(range(i, 20, 4)) for i in range(4)]


def test_each_is_there_once_in_its_order_and_too_few_are_refused() -> None:
    assert distinct("cabca", 3) == ["c", "a", "b"]
    with pytest.raises(ExamplesError, match=r"5 examples were given, 3 without repeats; 4 at least"):
        distinct("cabca", 4)


def test_means_and_their_intervals() -> None:
    assert mean([1.0, 2.0, 6.0]) == 3.0
    # Variance of 1, 2, 6 is 7, so the spread is 4.303 * sqrt(7 / 3) = 6.572942.
    assert mean_interval([1.0, 2.0, 6.0]) == pytest.approx((-3.572942, 9.572942), abs=1e-5)
    assert mean_interval([4.0]) == (4.0, 4.0)
    with pytest.raises(ZeroDivisionError):
        mean([])


def test_shares_that_are_all_equal_are_no_certainty_and_others_stay_within_what_can_be() -> None:
    assert share_interval([0.0] * 15) == interval(0.0, 15)
    assert share_interval([1.0]) == interval(1.0, 1)
    assert share_interval([0.2, 0.4]) == (0.0, 1.0)
    assert share_interval([0.4, 0.5, 0.6]) == mean_interval([0.4, 0.5, 0.6])


@pytest.mark.parametrize(("freedom", "point"), [(1, 12.706), (4, 2.776), (10, 2.228), (11, 2.201), (20, 2.086), (60, 2.000), (599, 1.964)])
def test_student_s_points_are_those_of_the_tables(freedom: int, point: float) -> None:
    assert student(freedom) == pytest.approx(point, abs=1e-3)


def test_five_wins_without_a_loss_are_clear_and_four_are_not() -> None:
    # The chance of n wins in n tosses: 1/16 for four, 1/32 for five.
    assert not clearly_more([True] * 4, [False] * 4)
    assert clearly_more([True] * 5, [False] * 5)
    # 7 of 8: (8 + 1) / 256 = 0.035; 6 of 7: (7 + 1) / 128 = 0.0625.
    assert clearly_more([True] * 7 + [False], [False] * 7 + [True])
    assert not clearly_more([True] * 6 + [False], [False] * 6 + [True])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_what_both_get_right_or_wrong_decides_nothing_and_both_cannot_be_clearly_more(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    assert clearly_more(first, second) == clearly_more([*first, True, False], [*second, True, False])
    assert not (clearly_more(first, second) and clearly_more(second, first))
