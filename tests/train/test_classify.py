"""Labelled examples as a test: what is shown is never asked, every class is shown, and answers stay with their examples."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headstart.errors import ExamplesError
from headstart.learners.metric import Prototypical
from headstart.learners.neighbour import Neighbour
from headstart.net import Raw
from headstart.tasks.episodes import Held
from headstart.train import classify
from headstart.train.classify import Outcome, check, draws, folds, merged, outcomes

COUNTS = st.lists(st.integers(2, 7), min_size=2, max_size=5).map(torch.tensor)
LEARNERS = [Prototypical(Raw()), Neighbour()]


def owners(counts: Tensor) -> Tensor:
    return torch.tensor([c for c, n in enumerate(counts.tolist()) for _ in range(n)])


def clouds(*counts: int, apart: float = 2.0) -> Held:
    """Classes whose examples lie about a corner of their own, so near to others that some are mistaken."""
    rng = torch.Generator().manual_seed(0)
    drawn = torch.randn(sum(counts), len(counts), generator=rng, dtype=torch.float64)
    corners = apart * torch.eye(len(counts), dtype=torch.float64)
    return Held(tuple(f"class {c}" for c in range(len(counts))), torch.tensor(counts), drawn + corners[owners(torch.tensor(counts))])


def test_the_last_seeds_draw_too() -> None:
    last = draws(torch.tensor([3, 4]), 1, (1 << 63) - 1, 2)
    assert not torch.equal(last.shown[0], last.shown[1]) or not torch.equal(last.asked[0], last.asked[1])
    assert torch.equal(last.shown[:1], draws(torch.tensor([3, 4]), 1, (1 << 63) - 1, 1).shown)


def by_hand(held: Held, shown: list[int], asked: int, nearest: bool) -> int:
    """The answer by a loop over classes: the closest mean, or the class of the closest example."""
    owner, x = owners(held.counts), held.items
    best, answer = float("inf"), -1
    for c in range(len(held.counts)):
        mine = torch.stack([x[i] for i in shown if owner[i] == c])
        for point in mine if nearest else [mine.mean(0)]:
            distance = float((x[asked] - point).square().sum())
            if distance < best:
                best, answer = distance, c
    return answer


@given(COUNTS, st.integers(0, 99))
def test_a_draw_shows_so_many_of_each_class_and_asks_all_others(counts: Tensor, seed: int) -> None:
    shots = int(counts.min()) - 1
    dealt = draws(counts, shots, seed, 3)
    for shown, asked in zip(dealt.shown, dealt.asked, strict=True):
        assert torch.equal(torch.cat([shown, asked]).sort().values, torch.arange(int(counts.sum())))
        assert torch.equal(owners(counts)[shown].bincount(), torch.full((len(counts),), shots))
        assert torch.equal(asked, asked.sort().values)


def test_draws_differ_by_seed_alone() -> None:
    counts = torch.tensor([9, 8, 7])
    first = draws(counts, 2, 5, 3)
    assert torch.equal(first.shown[1:], draws(counts, 2, 6, 2).shown)
    assert len({tuple(sorted(shown.tolist())) for shown in first.shown}) == 3


@given(COUNTS, st.integers(2, 12), st.integers(0, 99))
def test_folds_ask_everything_once_and_always_show_every_class(counts: Tensor, parts: int, seed: int) -> None:
    dealt = folds(counts, parts, seed)
    whole = torch.arange(int(counts.sum()))
    assert torch.equal(torch.cat([fold.asked[0] for fold in dealt]).sort().values, whole)
    for fold in dealt:
        assert torch.equal(torch.cat([fold.shown[0], fold.asked[0]]).sort().values, whole)
        assert set(owners(counts)[fold.shown[0]].tolist()) == set(range(len(counts)))
    sizes = [fold.asked.shape[1] for fold in dealt]
    assert max(sizes) - min(sizes) <= 1


def test_folds_take_their_share_of_every_class() -> None:
    for fold in folds(torch.tensor([20, 10, 30]), 5, 0):
        assert owners(torch.tensor([20, 10, 30]))[fold.asked[0]].bincount().tolist() == [4, 2, 6]


@pytest.mark.parametrize("nearest", [False, True], ids=["prototypes", "neighbour"])
def test_answers_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch, nearest: bool) -> None:
    monkeypatch.setattr(classify, "_CHUNK", 4)
    held = clouds(6, 9, 5)
    dealt = draws(held.counts, 2, 0, 4)
    found = outcomes(LEARNERS[nearest], held, dealt)
    for shown, outcome in zip(dealt.shown, found, strict=True):
        assert outcome.got.tolist() == [by_hand(held, shown.tolist(), i, nearest) for i in outcome.asked.tolist()]
        assert torch.equal(outcome.wanted, owners(held.counts)[outcome.asked])
    assert 0.5 < found[0].accuracy < 1


def test_folds_are_merged_in_the_order_of_the_examples() -> None:
    held = clouds(6, 9, 5)
    dealt = folds(held.counts, 4, 0)
    whole = merged([found for fold in dealt for found in outcomes(LEARNERS[0], held, fold)])
    assert whole.asked.tolist() == list(range(20))
    assert torch.equal(whole.wanted, owners(held.counts))
    for fold in dealt:
        for i in fold.asked[0].tolist():
            assert int(whole.got[i]) == by_hand(held, fold.shown[0].tolist(), i, nearest=False)


def test_accuracy_and_losses_are_those_of_the_scores() -> None:
    outcome = Outcome(torch.arange(3), torch.tensor([0, 1, 1]), torch.tensor([[0.0, 0.0], [0.0, 3.0], [1.0, 0.0]], dtype=torch.float64))
    assert outcome.got.tolist() == [0, 1, 0]
    assert outcome.accuracy == pytest.approx(2 / 3)
    wanted = -outcome.scores.softmax(1)[torch.arange(3), outcome.wanted].log()
    assert torch.allclose(outcome.losses, wanted, rtol=0, atol=1e-14)


def test_one_class_and_classes_with_too_few_examples_are_refused_by_name() -> None:
    check(["a", "b"], [3, 4], 3, "--shots 2")
    with pytest.raises(ExamplesError, match="All examples have the label 'a'"):
        check(["a"], [9], 2, "A fold")
    with pytest.raises(ExamplesError, match=r"--shots 3 needs 4 examples of a class; 2 of 3 classes have fewer: a \(1\), c \(3\)\. "):
        check(["a", "b", "c"], [1, 4, 3], 4, "--shots 3")
