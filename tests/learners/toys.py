"""Small tasks, and derivatives without a graph, for the learners that walk down a gradient."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headstart.bank import Weights
from headstart.episode import Episodes, Labelled
from headstart.learners.gradient import Maml
from headstart.learners.learner import Learner
from headstart.net import Stacked
from headstart.recipes.methods import KINDS

TASKS, WIDTH, WAYS, SHOWN, QUERIES = 3, 2, 3, 6, 4


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth() -> nn.Module:
    """No kinks, so that finite differences may be trusted."""
    return nn.Sequential(OrderedDict(body=nn.Linear(WIDTH, 3), bend=nn.Tanh(), head=nn.Linear(3, WAYS))).double()


NET = Stacked(smooth)


def of(kind: str, **settings: Any) -> Maml:
    """A kind of MAML as the product makes it."""
    return Maml(NET, **{**KINDS[kind].fixed, **settings})


def known(learner: Learner, seed: int = 0) -> Weights:
    """What a learner begins with, in double precision, and moved so that no two step sizes are alike."""
    chance = torch.Generator().manual_seed(seed)
    meta = {name: w.double() for name, w in learner.begin(seed).items()}
    return {name: w * (1 + 0.3 * torch.rand(w.shape, generator=chance, dtype=torch.float64)) for name, w in meta.items()}


def episodes(tasks: int = TASKS, seed: int = 0, values: bool = False) -> Episodes:
    """Classes or values to be told from points of the plane."""
    chance = torch.Generator().manual_seed(seed)

    def side(n: int) -> Labelled:
        inputs = torch.randn(tasks, n, WIDTH, generator=chance, dtype=torch.float64)
        classes = torch.randint(0, WAYS, (tasks, n), generator=chance)
        return Labelled(inputs, torch.randn(tasks, n, WAYS, generator=chance, dtype=torch.float64) if values else classes)

    return Episodes(side(SHOWN), side(QUERIES))


def clusters(seed: int, tasks: int, n: int = 4) -> Episodes:
    """Two classes a task, far apart in four dimensions, shown in any order: easy to learn for anything that learns."""
    chance = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(tasks, 2, 4, generator=chance)

    def side() -> Labelled:
        targets = torch.rand(tasks, n, generator=chance).argsort(1) % 2
        noise = 0.2 * torch.randn(tasks, n, 4, generator=chance)
        return Labelled(centres.gather(1, targets[..., None].expand(-1, -1, 4)) + noise, targets)

    return Episodes(side(), side())


def picked(e: Episodes, order: list[int]) -> Episodes:
    return Episodes(*(Labelled(side.inputs[order], side.targets[order]) for side in (e.support, e.query)))


def predicted(learner: Learner, meta: Weights, e: Episodes) -> Tensor:
    """Answers to the queries of tasks adapted to."""
    return learner.predict(meta, learner.adapt(meta, e.support), e.query.asked)


def query_loss(learner: Learner, meta: Weights, e: Episodes) -> Tensor:
    """The mean query loss of tasks adapted to: what MAML's meta-gradient is the gradient of."""
    return e.query.losses(predicted(learner, meta, e)).mean()


def differences(function: Callable[[Weights], Tensor], meta: Weights, step: float = 1e-5) -> Weights:
    """The gradient of a function of meta by central differences."""
    gradient = {name: torch.empty_like(w) for name, w in meta.items()}
    for name, w in meta.items():
        for i in range(w.numel()):
            ends = []
            for sign in (1, -1):
                moved = w.clone()
                moved.view(-1)[i] += sign * step
                ends.append(function(meta | {name: moved}))
            gradient[name].view(-1)[i] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def each(learners: dict[str, Learner]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("learner", learners.values(), ids=learners.keys())


def apart(left: Weights, right: Weights) -> float:
    """The largest difference between two sets of weights."""
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).detach().abs().max()) for name in left)
