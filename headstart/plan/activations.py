"""What a training step keeps for its backward pass, tensor by tensor, as transformers' layers under a graft compute it.

Counted, not estimated: `tests/plan/test_activations.py` holds it against what autograd really saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from headstart.plan.setting import FUSED, PACKED, Setting, sites
from headstart.plan.shape import Linear, Shape
from headstart.terms import LOGITS

_EAGER = ("gemma2",)
"""Families whose attention is not fused, so that its square is kept: their soft cap has no fused kernel."""
_FIRST = {"q_proj", "k_proj", "v_proj", *FUSED}
"""Linears that are fed what a layer's first norm gives."""


@final
@dataclass(frozen=True)
class Batch:
    """Rows that are taught at once."""

    rows: int
    length: int
    """Padding included."""
    targets: int
    """Tokens to be predicted, of all rows."""
    gathered: bool = True
    """Whether every row copies its adapter: not where the rows' slots follow each other."""

    @property
    def tokens(self) -> int:
        """Of all rows, padding included."""
        return self.rows * self.length


def kept(shape: Shape, setting: Setting, batch: Batch) -> int:
    """Bytes that the layers from the lowest bent one up keep, without the logits; of layers that are computed again, their inputs."""
    d, bent = setting.width, sites(shape, setting)
    upper = shape.layers - setting.lowest - 1
    turned = 0 if shape.family == "gpt2" else 2 * batch.length * shape.head * d
    if setting.checkpoint:
        return (upper + 1) * batch.tokens * shape.width * d + _norm(shape, d, batch) + turned
    return upper * layer(shape, setting, batch, bent) + lowest(shape, setting, batch) + _norm(shape, d, batch) + turned


def logits(shape: Shape, setting: Setting, targets: int) -> int:
    """Bytes at the height of the loss: log-probabilities, and their gradient before and behind them, in fp32; a soft cap's output too."""
    capped = setting.width if shape.family == "gemma2" else 0
    return (12 + capped) * targets * shape.vocabulary


def few(shape: Shape, targets: int) -> int:
    """Targets whose logits are there at once, where the loss takes a few at a time."""
    return min(targets, max(1, LOGITS // shape.vocabulary))


def slopes(shape: Shape, setting: Setting, batch: Batch) -> int:
    """Bytes that such a loss keeps for the backward pass: its gradient at what reaches the head."""
    return batch.targets * shape.width * setting.width


def unpacked(shape: Shape, setting: Setting) -> int:
    """Bytes of the largest linear, which packed ones are for as long as they are multiplied by."""
    if setting.precision not in PACKED:
        return 0
    return setting.width * max(it.width_in * it.width_out for it in shape.linears)


def layer(shape: Shape, setting: Setting, batch: Batch, bent: Sequence[Linear]) -> int:
    """Bytes that one layer keeps, gradients flowing through its input."""
    d, tokens = setting.width, batch.tokens
    each = _attention(shape, setting, batch.length, {it.name.rpartition(".")[2] for it in bent}) + _mlp(shape, d, bent)
    if shape.rms:
        each += (4 if shape.family == "gemma2" else 2) * (4 * shape.width + 4)
    else:
        # Both read the stream as it is, in a parallel layer the same one.
        each += (2 if shape.family == "gpt2" else 1) * d * shape.width + 4 * d
    return tokens * each + _adapters(setting, batch, bent)


def backward(shape: Shape, setting: Setting, batch: Batch) -> int:
    """Bytes of gradients inside the layer where the backward pass stands: of the MLP's inner widths and of the stream."""
    return batch.tokens * setting.width * (3 * shape.inner + 2 * shape.width)


def lowest(shape: Shape, setting: Setting, batch: Batch) -> int:
    """The lowest bent layer: no gradient flows out of it below, so its first norm and what does not lie behind a bend keep nothing."""
    d, tokens, bent = setting.width, batch.tokens, sites(shape, setting)
    less = _norm(shape, d, batch)
    less += sum(_copy(setting, batch, it.width_in) for it in bent if it.name.rpartition(".")[2] in _FIRST)
    if shape.family == "qwen3" and not any(it.name.endswith("k_proj") for it in bent):
        less += tokens * (4 * shape.groups * shape.head + 4 * shape.groups)
    if shape.family == "gpt_neox":
        less += tokens * (2 * d + (0 if any(it.name.startswith("mlp") for it in bent) else d * shape.inner))
    return layer(shape, setting, batch, bent) - less


def _attention(shape: Shape, setting: Setting, length: int, bent: set[str]) -> int:
    """Bytes a token: queries, keys, values, what they read, and what a site among them is fed."""
    d, asks, seen = setting.width, shape.heads * shape.head, shape.groups * shape.head
    inputs = d * shape.width if bent & _FIRST else 0
    if shape.family in _EAGER:
        # The capped scores, and their softmax in fp32 and in the base's precision, where that is another.
        square = shape.heads * length * (d + 4 + (d if d != 4 else 0))
        fed = d * asks if "o_proj" in bent else 0
        return inputs + fed + 3 * d * asks + square
    fused = d * asks + 4 * shape.heads
    if shape.window is not None and length > shape.window:
        # A mask, and keys and values of groups once more for every head.
        fused += d * length + 2 * d * (asks - seen)
    elif setting.unfused:
        # The same, see `headstart.lm.attention`.
        fused += 2 * d * (asks - seen)
    if shape.family in ("phi3", "gpt_neox"):
        # Rotated queries and keys, and the product that values are a view of, unless laid out anew themselves; what is read is so.
        inputs += d * asks if bent & {"o_proj", "dense"} else 0
        product = seen if setting.unfused and seen < asks else asks + 2 * seen
        return inputs + fused + d * (asks + seen) + d * product
    if shape.family == "qwen3":
        inputs += 4 * (asks + seen) + 4 * (shape.heads + shape.groups)
    return inputs + fused + d * (asks + 2 * seen)


def _mlp(shape: Shape, d: int, bent: Sequence[Linear]) -> int:
    """Bytes a token."""
    names = {it.name for it in bent}
    inputs = d * shape.width if names & {"mlp.gate_proj", "mlp.up_proj", "mlp.gate_up_proj", "mlp.c_fc", "mlp.dense_h_to_4h"} else 0
    inputs += d * shape.inner if names & {"mlp.down_proj", "mlp.dense_4h_to_h"} else 0
    if shape.family == "gpt2":
        return inputs + 4 * d * shape.inner + (d * shape.inner if "mlp.c_proj" in names else 0)
    if shape.family == "gpt_neox":
        return inputs + d * shape.inner
    return inputs + 3 * d * shape.inner


def _norm(shape: Shape, d: int, batch: Batch) -> int:
    """Bytes of one."""
    return batch.tokens * (4 * shape.width + 4 if shape.rms else d * shape.width + 2 * d)


def _adapters(setting: Setting, batch: Batch, bent: Sequence[Linear]) -> int:
    """Bytes of what a layer's sites keep of themselves: x A^T of every token, and A and B in the base's precision."""
    low = len(bent) * batch.tokens * setting.rank * setting.width
    return low + sum(_copy(setting, batch, it.width_in) + _copy(setting, batch, it.width_out) for it in bent)


def _copy(setting: Setting, batch: Batch, width: int) -> int:
    """Bytes of an A or a B as rows wear it; a view where nothing is gathered and the precision is the bank's own."""
    if not batch.gathered or batch.rows == 1:
        return 0 if setting.width == 4 else batch.rows * setting.rank * width * setting.width
    return batch.rows * setting.rank * width * setting.width
