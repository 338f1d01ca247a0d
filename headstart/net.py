"""What is bent: anything that maps (bank, slots, inputs) to outputs, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from headstart.bank import Bank, Weights


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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return {name: p.detach().clone() for name, p in self._make().named_parameters()}

    def __call__(self, bank: Bank, slots: Tensor, inputs: Tensor) -> Tensor:
        """Rows of batches: (rows, batch, ...) -> (rows, batch, ...)."""
        worn = {name: stack[slots] for name, stack in bank.items()}
        outputs: Tensor = torch.func.vmap(self._one, randomness="error")(worn, inputs)
        return outputs

    def _one(self, weights: Weights, x: Tensor) -> Tensor:
        out: Tensor = functional_call(self._module, weights, (x,))
        return out
