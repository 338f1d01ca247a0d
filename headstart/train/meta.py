"""The outer loop: draw tasks, ask the learner which way is down, step; and score it on tasks held back.

A state holds all that a run is made of, and is never written to: the loop maps one to the next. So a run that is killed goes
on from any state that was kept, and ends bit for bit where it would have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from headstart.episode import Tasks
from headstart.errors import Diverged
from headstart.learners.learner import Learner, Meta
from headstart.learners.parts import halves
from headstart.settings import refuse
from headstart.train.outer import Moments, Outer, flatten, unflatten
from headstart.train.score import Score
from headstart.train.spread import ALONE, Team, share

Judge = Callable[[Meta], Score]
"""Scores what is learned on tasks held back, always the same ones."""


@final
@dataclass(frozen=True)
class Watch:
    """How a run is judged, on tasks that it does not train on, and when it has done enough."""

    every: int = 100
    """Meta-steps between validations; the last step is always validated."""
    tasks: int = 100
    """Validation tasks, the same ones each time."""
    patience: int | None = None
    """Validations in a row without a better score that end the run. None: they never do."""
    target: float | None = None
    """Validation score that ends the run: an accuracy to reach, or an error to come down to. None: none does."""
    test: int = 600
    """Test tasks that are scored at the end, with the weights that did best in validation."""
    steps: tuple[int, ...] = ()
    """Inner step counts to score in the test; the last one is validation's too. None given: as in training."""
    alone: bool = False
    """Score the test with queries asked one at a time too: a net that normalises by its batch gains from seeing them together."""
    chunk: int = 10
    """Tasks scored at once; it bounds memory and changes nothing else."""

    def __post_init__(self) -> None:
        wrong = [
            f"evaluate.{name} is {getattr(self, name)}; 1 or more is wanted."
            for name in ("every", "tasks", "test", "chunk")
            if getattr(self, name) < 1
        ]
        if self.patience is not None and self.patience < 1:
            wrong.append(f"evaluate.patience is {self.patience}; 1 or more is wanted, or none at all.")
        wrong += [f"evaluate.steps is {list(self.steps)}; 0 or more each is wanted."] if min(self.steps, default=0) < 0 else []
        refuse(wrong)


@final
@dataclass(frozen=True)
class Best:
    """The best that validation has seen."""

    step: int
    score: Score
    meta: Meta


@final
@dataclass(frozen=True)
class State:
    """Where a run stands."""

    step: int
    """Meta-steps done."""
    meta: Meta
    """What has been learned."""
    moments: Moments
    """What the optimiser remembers."""
    loss: float = 0.0
    """Mean query loss in training, over the steps since the last validation before this step."""
    judged: int = 0
    """The step of the last validation."""
    score: Score | None = None
    """Its score."""
    waited: int = 0
    """Validations since the best."""
    best: Best | None = None


def begin(meta: Meta, outer: Outer) -> State:
    """A run before its first step."""
    return State(0, meta, outer.begin(halves(meta)[0]))


def meta_train(
    learner: Learner, tasks: Tasks, outer: Outer, watch: Watch, judge: Judge, state: State, team: Team = ALONE
) -> Iterator[State]:
    """Each state of a run after `state`, one a meta-step, until `ended`.

    Args:
        learner: gives the direction of a meta-step.
        tasks: step s learns from training tasks number s * batch to (s + 1) * batch - 1.
        outer: steps, batch and rule.
        watch: when to judge, and when to end.
        judge: scores `meta` on validation tasks.
        state: from `begin`, or kept from a run of the same settings.
        team: the processes that share each batch of tasks.

    Raises:
        Diverged: a loss, a gradient or a validation is no number; the state yielded last is sound.

    Source: the outer loop of Finn et al. 2017, MAML, algorithm 1, which Nichol et al. 2018, Reptile, algorithm 2, and Snell et al.
    2017, Prototypical networks, algorithm 1, share.
    """
    while not ended(state, outer, watch):
        direction, losses = _direction(learner, state.meta, tasks, state.step * outer.batch, outer.batch, team)
        _check(direction, losses, state.step, outer.batch)
        state = _stepped(state, outer, direction, float(losses.mean()))
        if state.step % watch.every == 0 or state.step == outer.steps:
            state = _judged(state, judge(state.meta))
        yield state


def ended(state: State, outer: Outer, watch: Watch) -> str:
    """Why a run goes no further: "target", "patience" or "steps"; nothing while it does."""
    if watch.target is not None and state.best is not None and state.best.score.reaches(watch.target):
        return "target"
    if watch.patience is not None and state.waited >= watch.patience:
        return "patience"
    return "steps" if state.step >= outer.steps else ""


def _direction(learner: Learner, meta: Meta, tasks: Tasks, first: int, count: int, team: Team) -> tuple[Tensor, Tensor]:
    """The mean direction over a batch of tasks, (size,), and the loss of each, (count,); one message however many processes."""
    mine = share(team, count)
    part = mine.stop - mine.start
    gradient, losses = learner.meta_gradient(meta, tasks.draw("train", first + mine.start, part))
    direction = flatten(gradient)
    row = direction.new_zeros(count)
    row[mine] = losses.to(row)
    total = team.sum(torch.cat([direction * (part / count), row]))
    return total[:-count], total[-count:]


def _check(direction: Tensor, losses: Tensor, step: int, batch: int) -> None:
    if bool(torch.isfinite(direction).all() & torch.isfinite(losses).all()):
        return
    lost = (~torch.isfinite(losses)).nonzero()[:, 0].tolist()
    what = f"The loss of training task {step * batch + lost[0]}" if lost else "The direction"
    more = f" ({len(lost)} of the step's {batch} tasks)" if lost else ", though every task's loss is one,"
    raise Diverged(
        f"{what} is no number at meta-step {step + 1}{more}: a smaller outer or inner rate, or outer.clip, may help. What was "
        f"learned up to step {step} is sound."
    )


def _stepped(state: State, outer: Outer, direction: Tensor, loss: float) -> State:
    (learned, kept), away = halves(state.meta), unflatten(direction, state.meta)
    moved, moments = outer.move(learned, flatten({name: away[name] for name in learned}), state.moments, state.step)
    # No rate and no rule: it is remembered, not learned.
    meta = moved | {name: w - away[name] for name, w in kept.items()}
    step = state.step + 1
    # A running mean, which the first step after a validation begins anew.
    mean = state.loss + (loss - state.loss) / (step - state.judged)
    return replace(state, step=step, meta=meta, moments=moments, loss=mean)


def _judged(state: State, score: Score) -> State:
    judged = replace(state, judged=state.step, score=score, waited=state.waited + 1)
    if state.best is None or score.merit > state.best.score.merit:
        return replace(judged, best=Best(state.step, score, state.meta), waited=0)
    return judged
