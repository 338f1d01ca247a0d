"""What is planned for: a precision, an adapter's sites, and how much is shown at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from headstart.errors import BaseRefused, nearest
from headstart.plan.shape import Linear, Shape
from headstart.terms import ALL_LINEAR, ASKED, PIECE

BYTES = {"4bit": 2, "8bit": 2, "bf16": 2, "fp16": 2, "fp32": 4}
"""Of one number that is computed with, by precision; packed linears compute in bf16."""
PACKED = {"4bit": 0.5 + 1 / 64 + 4 / (64 * 256), "8bit": 1.0}
"""Bytes of a weight of a packed linear: in 4 bits with a scale of a byte for 64, and one of four bytes for 256 of these."""
FUSED = ("qkv_proj", "query_key_value", "c_attn")
"""Linears that make queries, keys and values at once."""


@final
@dataclass(frozen=True)
class Setting:
    """The defaults are those of the command line's contract."""

    precision: str = "bf16"
    """Of the base."""
    rank: int = 8
    """Of the LoRA."""
    target: tuple[str, ...] = ("q_proj", "v_proj")
    """Names of linears, or `all-linear`; for `headstart.plan.facts` also none, which are those of `usual`."""
    lowest: int = 0
    """Lowest layer that is bent; it and all above are."""
    examples: int = 10
    length: int = 128
    """Tokens of an example, its answer included."""
    answer: int = 64
    """Tokens of an example's answer: those that are to be predicted."""
    head: int = 0
    """Tokens of an example that a conversation has once, however many examples it holds: what a chat template puts before the first."""
    folds: int = 3
    """Parts in which examples are held out for the report; 0: no report."""
    prefix: bool = True
    """Whether examples are taught in front of each other."""
    checkpoint: bool = False
    """Whether layers are computed again in the backward pass, in place of keeping what they computed."""
    piece: int = PIECE
    """Tokens that are taught at once, padding included; a longer conversation stands alone."""
    asked: int = ASKED
    """Questions of the report that are answered at once."""
    order: int = 1
    """Of meta-training's gradient."""
    inner: int = 5
    """Inner steps of meta-training."""
    tasks: int = 4
    """In a meta-step."""
    queries: int = 4
    """Further examples of each task in meta-training."""
    rows: int = 16
    """Requests that are answered at once."""
    context: int = 1024
    """Tokens of each of them, the answer included."""
    adapters: int = 8
    """In memory while serving."""
    card: bool = False
    """Whether a GPU computes; `forecast` sets it by its engine."""

    @property
    def width(self) -> int:
        """Bytes of a number that the base computes with."""
        return BYTES[self.precision]

    @property
    def unfused(self) -> bool:
        """Whether it computes where no fused kernel takes groups of heads; fp16 is what cards before Ampere have in place of bf16."""
        return self.card and self.precision in ("fp16", "fp32")


def usual(shape: Shape) -> tuple[str, ...]:
    """What is bent where nobody names a target: what makes queries and values, alone or with the keys."""
    names = [it.name.rpartition(".")[2] for it in shape.linears]
    return tuple(name for name in names if name in FUSED) or Setting.target


def sites(shape: Shape, setting: Setting) -> tuple[Linear, ...]:
    """The linears of one layer that are bent.

    Raises:
        BaseRefused: a target that is no linear's name, or a lowest layer that is not there.
    """
    if not 0 <= setting.lowest < shape.layers:
        raise BaseRefused(f"The lowest layer is {setting.lowest}; the base has layers 0 to {shape.layers - 1}.")
    if setting.target == (ALL_LINEAR,):
        return shape.linears
    found = tuple(it for it in shape.linears if any(f".{it.name}".endswith(f".{target}") for target in setting.target))
    lost = [target for target in setting.target if not any(f".{it.name}".endswith(f".{target}") for it in shape.linears)]
    if lost:
        names = [it.name.rpartition(".")[2] for it in shape.linears]
        raise BaseRefused(f"No linear of this base is named '{lost[0]}'; it has {', '.join(names)}.{nearest(lost[0], names)}")
    return found


def adapter_numbers(shape: Shape, setting: Setting) -> int:
    """Numbers in one adapter."""
    each = sum(setting.rank * (it.width_in + it.width_out) for it in sites(shape, setting))
    return each * (shape.layers - setting.lowest)
