import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Episodes
from headstart.errors import Diverged, SettingsError
from headstart.learners.learner import Meta
from headstart.tasks.sine import Sine
from headstart.train.meta import State, Watch, begin, ended, meta_train
from headstart.train.outer import Outer, flatten
from headstart.train.score import Score, score
from tests.train.toys import Waves

TASKS = Sine(shots=4, queries=4, dtype=torch.float64)
OUTER = Outer(steps=12, batch=3, rate=0.05)
WATCH = Watch(every=4)
META = Waves().begin(0)


def judge(meta: Meta) -> Score:
    return score(Waves(), meta, TASKS, "validation", 5)


def judged_as(*means: float, metric: str = "mse") -> Any:
    """A judge that gives these scores, one after the other."""
    left: Iterator[float] = iter(means)
    return lambda meta: Score(metric, next(left), 0, 0, 1)


def states(state: State | None = None, watch: Watch = WATCH, outer: Outer = OUTER, judge: Any = judge, learner: Any = None) -> list[State]:
    return list(meta_train(learner or Waves(), TASKS, outer, watch, judge, state or begin(META, outer)))


def equal(left: State, right: State) -> bool:
    parts = [(s.meta, s.moments, s.best.meta if s.best else {}) for s in (left, right)]
    tensors = all(list(a) == list(b) and all(torch.equal(a[n], b[n]) for n in a) for a, b in zip(*parts, strict=True))
    facts = [(s.step, s.loss, s.judged, s.score, s.waited, s.best and (s.best.step, s.best.score)) for s in (left, right)]
    return tensors and facts[0] == facts[1]


def test_a_run_equals_the_loop_of_the_paper() -> None:
    adam_at = {name: w.clone().requires_grad_() for name, w in META.items()}
    adam = torch.optim.Adam(adam_at.values(), lr=0.05)
    for step in range(12):
        gradient, _ = Waves().meta_gradient({n: w.detach() for n, w in adam_at.items()}, TASKS.draw("train", step * 3, 3))
        for name, w in adam_at.items():
            w.grad = gradient[name]
        adam.step()
    last = states()[-1]
    assert last.step == 12
    assert all(torch.allclose(w, adam_at[name], rtol=0, atol=1e-13) for name, w in last.meta.items())


def test_every_step_is_told_and_every_few_are_judged_and_the_last_is_always() -> None:
    told = states(outer=replace(OUTER, steps=6))
    assert [s.step for s in told] == [1, 2, 3, 4, 5, 6]
    assert [s.judged for s in told] == [0, 0, 0, 4, 4, 6]
    assert told[3].score == judge(told[3].meta)


def test_the_loss_is_the_mean_over_the_steps_since_the_last_validation() -> None:
    told = states()
    metas = [META, *(s.meta for s in told)]
    each = [float(Waves().meta_gradient(metas[i], TASKS.draw("train", 3 * i, 3))[1].mean()) for i in range(8)]
    assert told[3].loss == pytest.approx(sum(each[:4]) / 4)
    assert told[4].loss == pytest.approx(each[4])
    assert told[7].loss == pytest.approx(sum(each[4:]) / 4)


def test_learning_learns() -> None:
    told = states(outer=Outer(steps=300, batch=5, rate=0.05), watch=Watch(every=100))
    assert told[-1].score is not None
    assert told[-1].score.mean < judge(META).mean - 1


@pytest.mark.parametrize("stop", range(12))
def test_a_run_goes_on_from_any_state_bit_for_bit(stop: int) -> None:
    whole = states()
    again = states([begin(META, OUTER), *whole][stop])
    assert len(again) == 12 - stop
    assert all(equal(a, b) for a, b in zip(whole[stop:], again, strict=True))


def test_states_are_never_written_to() -> None:
    run, kept = meta_train(Waves(), TASKS, OUTER, WATCH, judge, begin(META, OUTER)), []
    for state in run:
        kept.append((state, flatten(state.meta).clone(), flatten(state.moments).clone()))
    assert all(torch.equal(flatten(s.meta), meta) and torch.equal(flatten(s.moments), moments) for s, meta, moments in kept)
    assert torch.equal(flatten(META), flatten(Waves().begin(0)))


def test_the_best_is_kept_with_its_weights() -> None:
    told = states(judge=judged_as(3.0, 1.0, 2.0))
    best = told[-1].best
    assert best is not None
    assert (best.step, best.score.mean, told[-1].waited) == (8, 1.0, 1)
    assert torch.equal(flatten(best.meta), flatten(told[7].meta))


def test_of_equal_scores_the_first_is_the_best() -> None:
    best = states(judge=judged_as(1.0, 1.0, 1.0))[-1].best
    assert best is not None
    assert best.step == 4


def test_patience_ends_a_run_that_gets_no_better() -> None:
    watch = Watch(every=2, patience=2)
    told = states(watch=watch, judge=judged_as(3.0, 2.0, 2.5, 2.0, 0.0))
    assert (told[-1].step, told[-1].waited, ended(told[-1], OUTER, watch)) == (8, 2, "patience")
    assert states(told[-1], watch) == []


@pytest.mark.parametrize(("metric", "means", "target"), [("mse", (3.0, 0.5), 0.6), ("accuracy", (0.5, 0.9), 0.9)])
def test_a_target_that_is_reached_ends_the_run(metric: str, means: tuple[float, ...], target: float) -> None:
    watch = Watch(every=3, target=target)
    last = states(watch=watch, judge=judged_as(*means, metric=metric))[-1]
    assert (last.step, ended(last, OUTER, watch)) == (6, "target")


def test_no_steps_change_nothing() -> None:
    outer = replace(OUTER, steps=0)
    assert states(outer=outer) == []
    assert ended(begin(META, outer), outer, WATCH) == "steps"


@dataclass(frozen=True)
class Broken:
    """Sine, but for a task whose targets are no numbers."""

    task: int
    bad: float = math.nan

    def draw(self, split: str, first: int, count: int) -> Episodes:
        episodes = TASKS.draw(split, first, count)
        here = split == "train" and first <= self.task < first + count
        if here:
            episodes.query.targets[self.task - first] = self.bad
        return episodes


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_named_by_step_and_task_and_the_state_before_is_sound(bad: float) -> None:
    kept: list[State] = []
    run = meta_train(Waves(), Broken(16, bad), OUTER, WATCH, judge, begin(META, OUTER))
    with pytest.raises(Diverged, match=r"training task 16 is no number at meta-step 6 \(1 of the step's 3 tasks\).*up to step 5"):
        kept.extend(run)
    assert [s.step for s in kept] == [1, 2, 3, 4, 5]
    assert all(equal(a, b) for a, b in zip(kept, states(), strict=False))


@dataclass(frozen=True)
class Exploding:
    """Sound losses, and a direction that is none."""

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        return {name: w * math.inf for name, w in meta.items()}, torch.ones(episodes.tasks)


def test_a_direction_that_is_no_number_is_an_error_too() -> None:
    with pytest.raises(Diverged, match="The direction is no number at meta-step 1, though every task's loss is one"):
        states(learner=Exploding())


@dataclass(frozen=True)
class Unheard:
    """A sound direction, as Reptile's does not ask the query, and a query loss that is no number."""

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        return meta, torch.tensor([1.0, math.nan, math.inf])


def test_a_loss_that_is_no_number_is_an_error_though_the_direction_is_sound() -> None:
    with pytest.raises(Diverged, match=r"training task 1 is no number at meta-step 1 \(2 of the step's 3 tasks\)"):
        states(learner=Unheard())


def test_a_validation_that_is_no_number_ends_the_run() -> None:
    with pytest.raises(Diverged, match="validation task 0"):
        states(judge=lambda meta: score(Waves(rate=1e200), meta, TASKS, "validation", 2))


def test_values_out_of_range_are_named_all_at_once() -> None:
    with pytest.raises(SettingsError) as told:
        Watch(every=0, tasks=0, test=0, chunk=0, patience=0, steps=(3, -1))
    names = ("every is 0", "tasks is 0", "test is 0", "chunk is 0", "patience is 0", "steps is [3, -1]")
    assert all(f"evaluate.{name}; " in str(told.value) for name in names)
