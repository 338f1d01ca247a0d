"""The inner loop, every slot of a bank at once: pure optimisers, and the walk down the support's loss.

An optimiser's state is passed in and handed back, one entry a slot. It begins anew with every walk, but for what is handed to it of
another's: no momentum is carried from task to task. All that is done to a bank is differentiable, so a walk may itself be differentiated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from headstart.bank import Bank, Weights, fill
from headstart.episode import Shown
from headstart.learners.parts import part
from headstart.net import Net

Rates = Mapping[str, Tensor | float]
"""Step sizes, name -> a number, or anything that broadcasts against (slots, ...)."""


class Inner(Protocol):
    """An optimiser as a function: what it remembers goes in and comes out."""

    def begin(self, moving: Bank, kept: Bank | None = None) -> Any:
        """The state before the first step, for the tensors that will be stepped; it goes on from what was kept of another walk."""
        ...

    def kept(self, state: Any) -> Bank:
        """What of a state another walk may go on from, name -> (slots, ...)."""
        ...

    def step(self, state: Any, bank: Bank, grads: Bank, rates: Rates) -> tuple[Any, Bank]:
        """The next state, and the bank with every tensor that has a gradient stepped down it."""
        ...


@final
@dataclass(frozen=True)
class Sgd:
    """w - rate * g."""

    def begin(self, moving: Bank, kept: Bank | None = None) -> None:
        """Nothing is remembered."""

    def kept(self, state: None) -> Bank:
        """Nor kept."""
        return {}

    def step(self, state: None, bank: Bank, grads: Bank, rates: Rates) -> tuple[None, Bank]:
        """One step down."""
        return None, bank | {name: bank[name] - rates[name] * g for name, g in grads.items()}


@final
@dataclass(frozen=True)
class Momentum:
    """v <- decay * v + g; w - rate * v. Source: Polyak 1964, the heavy ball."""

    decay: float = 0.9
    """Share of the velocity that is kept."""

    def begin(self, moving: Bank, kept: Bank | None = None) -> Bank:
        """No velocity."""
        return {name: torch.zeros_like(w) for name, w in moving.items()}

    def kept(self, state: Bank) -> Bank:
        """None: it is another task's way down."""
        return {}

    def step(self, state: Bank, bank: Bank, grads: Bank, rates: Rates) -> tuple[Bank, Bank]:
        """One step down."""
        velocity = {name: self.decay * state[name] + g for name, g in grads.items()}
        return velocity, bank | {name: bank[name] - rates[name] * v for name, v in velocity.items()}


@final
@dataclass(frozen=True)
class Moments:
    """What Adam remembers."""

    done: int
    """Steps of this walk."""
    count: Tensor | int
    """Steps done, those of the walk before included."""
    first: Bank
    """Running mean of the gradients of this walk, (slots, ...)."""
    second: Bank
    """Running mean of the squares of all."""


@final
@dataclass(frozen=True)
class Adam:
    """Adam. The root is of (v + floor^2), where the paper adds its small number to the root of v.

    So the root has a derivative where a gradient has been zero all along, as in slot 0 and behind a ReLU that never opens.
    Elsewhere the two differ by less than the floor.

    Source: Kingma & Ba 2015, Adam, algorithm 1; first_decay = 0 is Reptile's inner optimiser (Nichol et al. 2018, section 6).
    """

    first_decay: float = 0.9
    """Of the running mean of gradients."""
    second_decay: float = 0.999
    """Of the running mean of squared gradients."""
    floor: float = 1e-8
    """Smallest root that is divided by."""

    def begin(self, moving: Bank, kept: Bank | None = None) -> Moments:
        """No moments, or the squares that were kept and a first moment of nought."""
        zeros = {name: torch.zeros_like(w) for name, w in moving.items()}
        # All slots but the base's have gone as far.
        count, second = (kept["count"][-1], {name: kept[f"second.{name}"] for name in moving}) if kept else (0, zeros)
        return Moments(0, count, zeros, second)

    def kept(self, state: Moments) -> Bank:
        """The running mean of squares, and how many steps it is of."""
        like = next(iter(state.second.values()))
        return {"count": like.new_zeros(len(like)) + state.count, **{f"second.{name}": v for name, v in state.second.items()}}

    def step(self, state: Moments, bank: Bank, grads: Bank, rates: Rates) -> tuple[Moments, Bank]:
        """One step down."""
        done, count = state.done + 1, state.count + 1
        # In few passes over memory, which a small net's step on a processor waits for.
        first = {name: state.first[name].lerp(g, 1 - self.first_decay) for name, g in grads.items()}
        second = {name: (self.second_decay * state.second[name]).addcmul(g, g, value=1 - self.second_decay) for name, g in grads.items()}
        young, younger = 1 - self.first_decay**done, 1 - self.second_decay**count
        stretch = younger**0.5 / young
        roots = {name: (v + younger * self.floor**2).sqrt() for name, v in second.items()}
        moved = {name: bank[name] - stretch * rates[name] * (first[name] / root) for name, root in roots.items()}
        return Moments(done, count, first, second), bank | moved


def slopes(net: Net, bank: Bank, moving: tuple[str, ...], shown: Shown, second: bool = False) -> Bank:
    """Every task's gradient of its own loss.

    Slots are disjoint, so the gradient of the sum of the tasks' losses is each task's own.

    Args:
        net: gives the outputs.
        bank: name -> (slots, ...).
        moving: names that the gradient is wanted of.
        shown: inputs and answers, task i in slot i + 1.
        second: whether the gradient is to be differentiated again. If so, attention runs in PyTorch's math kernel: the fused ones have
            no second derivative. If not, the gradient has no graph and holds no memory.
    """
    at = bank if second else {name: w.detach() for name, w in bank.items()}
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH) if second else contextlib.nullcontext():
        wanted = [at[name] if at[name].requires_grad else at[name].requires_grad_() for name in moving]
        loss = shown.losses(net(at, shown.asked.slots, shown.asked.inputs)).sum()
        grads = torch.autograd.grad(loss, wanted, create_graph=second, materialize_grads=True)
    return dict(zip(moving, grads, strict=True))


def walk(
    slope: Callable[[int, Bank], Bank], bank: Bank, inner: Inner, rates: Callable[[int], Rates], steps: int, kept: Bank | None = None
) -> Iterator[tuple[Bank, Any]]:
    """The bank and the optimiser's state before the first step, and after each.

    Args:
        slope: step 0, 1, … and the bank -> the gradient of each tensor that moves; the others stay.
        bank: where to begin.
        inner: the optimiser.
        rates: step 0, 1, … -> its step sizes.
        steps: how many.
        kept: of another walk, to go on from; None: nothing.
    """
    state = inner.begin(bank, kept)
    yield bank, state
    for step in range(steps):
        state, bank = inner.step(state, bank, slope(step, bank), rates(step))
        yield bank, state


def descend(
    net: Net,
    meta: Weights,
    shown: Callable[[int], Shown],
    inner: Inner,
    rate: float,
    steps: int,
    pull: float = 0.0,
    kept: Bank | None = None,
) -> tuple[Bank, Any]:
    """Every task's weights after some steps down its own loss from where all begin, each tensor at the same rate; without a graph.

    Args:
        net: gives the outputs.
        meta: the initial weights are "net.*".
        shown: step 0, 1, … -> what it learns from, of the same tasks each time.
        inner: the optimiser.
        rate: step size.
        steps: how many.
        pull: strength of pull/2 |w - start|^2, added to each task's loss.
        kept: as `walk` has it.

    Returns:
        The bank, and the optimiser's state.
    """
    start = fill({name: w.detach() for name, w in part("net", meta).items()}, shown(0).tasks)
    moving = tuple(start)

    def slope(step: int, at: Bank) -> Bank:
        grads = slopes(net, at, moving, shown(step))
        return {name: g + pull * (at[name] - start[name]) for name, g in grads.items()} if pull else grads

    return end(walk(slope, start, inner, lambda _: dict.fromkeys(moving, rate), steps, kept))


def end(stands: Iterator[tuple[Bank, Any]]) -> tuple[Bank, Any]:
    """The last bank of a walk, and the state; no other is kept."""
    last = next(stands)
    for later in stands:
        last = later
    return last
