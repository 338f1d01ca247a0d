"""Layers as functions of named weights, for learners that are themselves networks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.bank import Weights


def draw_linear(width_in: int, width_out: int, chance: torch.Generator) -> Weights:
    """Weight (width_out, width_in) and bias (width_out,), uniform within 1 / sqrt(width_in)."""
    most = 1 / math.sqrt(width_in)
    shapes = {"weight": (width_out, width_in), "bias": (width_out,)}
    return {name: torch.empty(shape).uniform_(-most, most, generator=chance) for name, shape in shapes.items()}


def linear(meta: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """(..., width_in) -> (..., width_out) by the weights "name.weight" and "name.bias"."""
    return F.linear(x, meta[f"{name}.weight"], meta[f"{name}.bias"])


def draw_lstm(width_in: int, width: int, chance: torch.Generator) -> Weights:
    """The four gates of an LSTM in one linear: width_in counts inputs and what recurs. The forget gate starts out open."""
    weights = draw_linear(width_in, 4 * width, chance)
    weights["bias"][width : 2 * width] += 1
    return weights


def lstm(meta: Mapping[str, Tensor], name: str, x: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One step: inputs and what recurs (rows, width_in), cell (rows, width) -> output and cell, (rows, width) each.

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; gates in the order input, forget, cell, output.
    """
    enter, forget, new, out = linear(meta, name, x).chunk(4, dim=-1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(out) * torch.tanh(cell), cell
