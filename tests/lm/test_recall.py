"""Guesses: what came behind the same tokens before, never more than was wanted, and the same as an obvious search finds."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from headstart.lm.recall import Recall
from headstart.terms import GUESSES


def searched(tokens: Sequence[int], most: int) -> tuple[int, ...]:
    """The obvious twin: every place before the end is looked at; the latest sixteen behind the same pair count."""
    pair = list(tokens[-2:])
    places = [at for at in range(2, len(tokens)) if list(tokens[at - 2 : at]) == pair][-16:] if len(tokens) > 1 else []
    best = (0, 0)
    for at in places:
        length = max(n for n in range(2, min(GUESSES, at) + 1) if list(tokens[at - n : at]) == list(tokens[-n:]))
        best = max(best, (length, at))
    return tuple(tokens[best[1] : best[1] + min(max(most, 0), 2 * best[0])])


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(-1, 12))
def test_guesses_are_those_of_a_search(tokens: list[int], most: int) -> None:
    assert Recall(tokens).guess(most) == searched(tokens, most)


def test_long_rows_that_repeat_a_pair_often_are_searched_alike() -> None:
    rng = random.Random(0)
    tokens = rng.choices(range(3), k=600)
    recall = Recall(tokens[:300])
    for at in range(300, 600):
        assert recall.guess(GUESSES) == searched(tokens[:at], GUESSES)
        recall.add(tokens[at])


def test_the_longer_match_is_followed_and_a_single_token_is_none() -> None:
    assert Recall([1, 2, 3, 9, 2, 3, 8, 1, 2, 3]).guess() == (9, 2, 3, 8, 1, 2), "three match there, two later on"
    assert Recall([2, 3, 9, 2, 3, 8, 5, 2, 3]).guess(1) == (8,), "of equals the latest"
    assert Recall([1, 7, 1]).guess() == ()
    assert Recall([]).guess() == ()
