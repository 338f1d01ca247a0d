"""The main job: examples in, an adapter and a report out, and the base bare again."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from headstart.bank import Weights
from headstart.episode import Example
from headstart.errors import BankError, Diverged, ExamplesError
from headstart.lm.load import Base
from headstart.lm.objective import example_losses
from headstart.teach import Recipe, Taught, graft, lesson, teach
from headstart.teach.report import WAYS
from headstart.terms import SHOWN
from tests.conftest import assert_bare

EXAMPLES = [Example.pair(word, word[0].upper()) for word in ("red", "green", "blue", "black")]
QUICK = Recipe(steps=2, rank=2, folds=0)


def loss(base: Base, weights: Weights, recipe: Recipe) -> float:
    net = graft(base, recipe)
    try:
        bank = {name: torch.stack([torch.zeros_like(w), w]) for name, w in weights.items()}
        return float(example_losses(net, bank, [(1, base.chat.example(e)) for e in EXAMPLES], {}).mean())
    finally:
        net.remove()


def test_teaching_lowers_the_loss_on_the_examples_and_leaves_the_base_bare(tiny: Base) -> None:
    recipe = Recipe(steps=20, folds=0, prefix=False)
    taught = teach(tiny, EXAMPLES, recipe)
    assert_bare(tiny)
    assert loss(tiny, taught.weights, recipe) < 0.5 * loss(tiny, {name: torch.zeros_like(w) for name, w in taught.weights.items()}, recipe)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("prefix", [False, True])
def test_exactly_the_steps_that_were_asked_for_are_made(tiny: Base, steps: int, prefix: bool) -> None:
    seen: list[tuple[Any, ...]] = []
    taught = teach(
        tiny, EXAMPLES, Recipe(steps=steps, rank=2, folds=2, prefix=prefix, learnt=100.0), progress=lambda *told: seen.append(told)
    )
    assert taught.steps == steps
    assert [done for what, done, *_ in seen if what == "adapting"] == list(range(1, steps + 1))
    assert {whole for what, _, whole, _ in seen if "asking" not in what} == {steps}
    asked = [(done, of) for what, done, of, _ in seen if "asking" in what]
    ways = 4 if prefix else 3
    whole = ways * len(EXAMPLES)
    assert asked[-1] == (whole, whole)
    assert [done for done, _ in asked] == sorted({done for done, _ in asked})
    assert set(next(it for it in reversed(seen) if "asking" in it[0])[3]) == set(WAYS[:ways])


def test_without_a_number_it_ends_once_the_examples_are_learnt(tiny: Base) -> None:
    assert teach(tiny, EXAMPLES, Recipe(folds=0, learnt=100.0)).steps == 1
    assert teach(tiny, EXAMPLES, Recipe(folds=0, learnt=0.0)).steps > 5


def test_the_same_seed_gives_the_same_adapter(tiny: Base) -> None:
    first, again, other = (teach(tiny, EXAMPLES, Recipe(steps=2, rank=2, folds=0, seed=seed)).weights for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_it_begins_at_the_start_that_is_given(tiny: Base) -> None:
    start = teach(tiny, EXAMPLES, Recipe(steps=6, rank=3, folds=0)).weights
    on = teach(tiny, EXAMPLES, QUICK, start)
    assert next(iter(on.weights.values())).shape[0] == 3

    def apart(a: Weights, b: Weights) -> float:
        return max(float((a[name] - b[name]).abs().max()) for name in a)

    # An Adam step moves a weight by its rate at most, here a hundredth.
    assert 0 < apart(on.weights, start) < 0.05
    assert apart(start, graft_blank(tiny, 3)) > apart(on.weights, start)


def graft_blank(base: Base, rank: int) -> Weights:
    net = graft(base, Recipe(rank=rank))
    net.remove()
    return net.blank(0)


def test_a_start_is_left_as_it_is(tiny: Base) -> None:
    start = graft_blank(tiny, 2)
    before = {name: w.clone() for name, w in start.items()}
    teach(tiny, EXAMPLES, QUICK, start)
    assert all(torch.equal(start[name], before[name]) for name in start)


def test_the_report_is_made_only_where_folds_are_asked_for(tiny: Base) -> None:
    assert teach(tiny, EXAMPLES, QUICK).report is None
    told = teach(tiny, EXAMPLES, Recipe(steps=1, rank=2, folds=2)).report
    assert told is not None
    assert told.folds == 2


def test_the_examples_are_kept_in_front_as_the_report_says(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(steps=1, rank=2, folds=2)
    for pays in (True, False):
        monkeypatch.setattr(lesson.Report, "keeps_prefix", pays)
        assert teach(tiny, EXAMPLES, recipe).prefix == (tuple(EXAMPLES) if pays else ())
    assert teach(tiny, EXAMPLES, Recipe(steps=1, rank=2, folds=0, prefix=False)).prefix == ()


def test_more_examples_than_can_stand_in_front_are_taught_each_alone_and_none_is_kept(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesson.Report, "keeps_prefix", True)
    many = [Example.pair(f"say {n}", str(n)) for n in range(SHOWN + 1)]
    taught = teach(tiny, many, Recipe(steps=1, rank=2, folds=2))
    assert taught.prefix == ()
    assert taught.report is not None
    assert set(taught.report.ways) == {"base", "prompt", "weights"}
    assert teach(tiny, many[1:], Recipe(steps=1, rank=2, folds=0)).prefix == tuple(many[1:])


def test_the_facts_are_measured(tiny: Base) -> None:
    taught: Taught = teach(tiny, EXAMPLES, QUICK)
    assert taught.seconds > 0
    assert taught.peak_memory_bytes > 10_000_000


def test_one_example_is_too_few(tiny: Base) -> None:
    with pytest.raises(ExamplesError, match="at least two"):
        teach(tiny, EXAMPLES[:1], QUICK)


def test_an_example_longer_than_the_context_is_named(tiny: Base) -> None:
    with pytest.raises(ExamplesError, match=r"context of 512.*xxxx"):
        teach(tiny, [*EXAMPLES, Example.pair("x" * 600, "a")], QUICK)
    assert_bare(tiny)


def test_a_loss_that_is_no_number_ends_it_and_leaves_the_base_bare(tiny: Base) -> None:
    start = {name: torch.full_like(w, float("nan")) for name, w in graft_blank(tiny, 2).items()}
    with pytest.raises(Diverged, match="--steps"):
        teach(tiny, EXAMPLES, QUICK, start)
    assert_bare(tiny)


def test_an_error_in_the_middle_leaves_the_base_bare(tiny: Base) -> None:
    def stop(*_: object) -> None:
        raise BankError("mine")

    with pytest.raises(BankError, match="mine"):
        teach(tiny, EXAMPLES, QUICK, progress=stop)
    assert_bare(tiny)
