"""What is bent: anything that maps (bank, slots, inputs) to outputs, row by row."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from headstart.bank import Bank, Weights, worn

_CLOSE = 1e-5


class Net(Protocol):
    """A frozen base that many adapters can bend in one pass."""

    def blank(self, seed: int) -> Weights:
        """Fresh weights for one slot, drawn from `seed`."""
        ...

    def __call__(self, bank: Bank, slots: Tensor, inputs: Any) -> Tensor:
        """Outputs of every row under its own slot's weights.

        Args:
            bank: name -> (slots, ...).
            slots: (rows,) int64.
            inputs: whatever the net reads, rows first.
        """
        ...


@final
class Stacked:
    """Any small module as a net: every parameter is bent, rows run side by side under `vmap`.

    There is no pre-trained base here, so slot 0, all zeros, is the zero network.

    Args:
        make: builds the module; called once for its shape and once for each `blank`.
    """

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        self._make = make
        self._module = make().to("meta")

    def blank(self, seed: int) -> Weights:
        """Freshly initialised parameters, name -> (...)."""
        return _drawn(self._make, seed)

    def __call__(self, bank: Bank, slots: Tensor, inputs: Tensor) -> Tensor:
        """Rows of batches: (rows, batch, ...) -> (rows, batch, ...)."""
        weights = worn(bank, slots)
        outputs: Tensor = torch.func.vmap(self._one, randomness="error")(weights, inputs)
        return outputs

    def _one(self, weights: Weights, x: Tensor) -> Tensor:
        out: Tensor = functional_call(self._module, weights, (x,))
        return out


@final
@dataclass(frozen=True)
class Mlp:
    """Linear layers with ReLU between them: `Stacked(lambda: mlp(widths))` by batched products, several times as fast."""

    widths: tuple[int, ...]
    """Of the inputs, of each hidden layer, of the outputs."""
    normed: bool = False
    """Batch normalisation before each ReLU, by the statistics of a row's own batch."""

    def blank(self, seed: int) -> Weights:
        """Weights as torch draws them: layer1, norm1, layer2, …, and head for the last layer."""
        return _drawn(lambda: mlp(self.widths, self.normed), seed)

    def __call__(self, bank: Bank, slots: Tensor, inputs: Tensor) -> Tensor:
        """Rows of batches: (rows, n, ...), flattened to (rows, n, width_in) -> (rows, n, width_out)."""
        weights = worn(bank, slots)
        x = inputs.flatten(2)
        for depth in range(1, len(self.widths) - 1):
            x = _linear(x, weights, f"layer{depth}")
            x = torch.relu(_norm(x, weights, f"norm{depth}") if self.normed else x)
        return _linear(x, weights, "head")


@final
@dataclass(frozen=True)
class Raw:
    """The net without weights: inputs as they are, flattened."""

    def blank(self, seed: int) -> Weights:
        """No weights."""
        return {}

    def __call__(self, bank: Bank, slots: Tensor, inputs: Tensor) -> Tensor:
        """(rows, n, ...) -> (rows, n, features)."""
        return inputs.flatten(2)


@final
@dataclass(frozen=True)
class Fixed:
    """A net whose weights are not trained, for a learner that reads features which are good as they are."""

    net: Net

    def blank(self, seed: int) -> Weights:
        """The net's own."""
        return self.net.blank(seed)

    def __call__(self, bank: Bank, slots: Tensor, inputs: Any) -> Tensor:
        """The net's outputs, and no gradient through them."""
        with torch.no_grad():
            return self.net(bank, slots, inputs)


@final
@dataclass(frozen=True)
class Level:
    """A net whose head begins at zero: no class is preferred before the first step, whatever the features.

    A drawn head prefers some, which a task's few steps have to undo first; as tasks deal their classes in any order, the outer loop
    can learn no better than to prefer none.

    Source: Ye and Chao 2022, How to Train Your MAML to Excel in Few-Shot Classification; to a softmax this is the one vector for all
    classes that UNICORN-MAML learns.
    """

    net: Net

    def blank(self, seed: int) -> Weights:
        """The net's own, and zeros for the last layer, `head`."""
        return {name: torch.zeros_like(w) if name.startswith("head.") else w for name, w in self.net.blank(seed).items()}

    def __call__(self, bank: Bank, slots: Tensor, inputs: Any) -> Tensor:
        """The net's outputs."""
        return self.net(bank, slots, inputs)


def mlp(widths: Sequence[int], normed: bool = False) -> nn.Module:
    """Linear layers with ReLU between them, the inputs flattened first.

    `mlp((784, 256, 128, 64, 64, ways), normed=True)` is MAML's net without convolutions.

    Args:
        widths: of the inputs, of each hidden layer, of the outputs.
        normed: batch normalisation before each ReLU, always by the statistics of the batch at hand.

    Source: Finn et al. 2017, MAML, section 5.2.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flat=nn.Flatten())
    for depth, (fan_in, fan_out) in enumerate(itertools.pairwise(widths[:-1]), 1):
        layers[f"layer{depth}"] = nn.Linear(fan_in, fan_out)
        if normed:
            layers[f"norm{depth}"] = nn.BatchNorm1d(fan_out, eps=_CLOSE, track_running_stats=False)
        layers[f"relu{depth}"] = nn.ReLU()
    layers["head"] = nn.Linear(widths[-2], widths[-1])
    return nn.Sequential(layers)


def _linear(x: Tensor, weights: Bank, name: str) -> Tensor:
    return torch.baddbmm(weights[f"{name}.bias"][:, None], x, weights[f"{name}.weight"].mT)


def _norm(x: Tensor, weights: Bank, name: str) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    gain = weights[f"{name}.weight"][:, None] * (centred.square().mean(1, keepdim=True) + _CLOSE).rsqrt()
    return centred * gain + weights[f"{name}.bias"][:, None]


def _drawn(make: Callable[[], nn.Module], seed: int) -> Weights:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {name: p.detach().clone() for name, p in make().named_parameters()}
