"""How many bytes each purpose takes at its height, piece by piece, before any is spent.

What is described is what the code does: `headstart.teach` for an adapter, `headstart.learners` for a meta-step, `headstart.serve` for
answers. Full fine-tuning, which headstart does not do, is transformers' own loss with AdamW in the base's precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final, get_args

from headstart.plan.activations import unpacked
from headstart.plan.moments import Moment, adapting, answering, meta_step, tuning
from headstart.plan.setting import BYTES, PACKED, Setting, adapter_numbers
from headstart.plan.shape import Shape
from headstart.terms import COPY, Purpose

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@final
@dataclass(frozen=True)
class Engine:
    """What the program itself takes where it runs, beside the tensors."""

    process: int
    """Bytes of libraries, code and threads; on a GPU, of the driver's context."""
    waste: float
    """Share of the tensors, the base's not counted, that the allocator holds beside them: none of a lean heap, see `heap`."""
    token: int
    """Bytes that an entry of the tokenizer takes there."""
    code: int
    """Bytes of products compiled for ever new lengths, where answers grow in half precision; oneDNN does so."""
    packer: int
    """Bytes of the library that packs linears, where they are packed."""
    workspaces: int
    """Bytes that a GPU's library of products keeps for itself among the tensors."""
    source: str
    """Where the figures are from."""

    @property
    def card(self) -> bool:
        """Whether it is a GPU's."""
        return self.workspaces > 0


CPU = Engine(405_000_000, 0.0, 1000, 82_000_000, 45_000_000, 0, "fitted on the even cells of benchmarks/planner")
UNCOMPILED = replace(CPU, code=0)
"""Of a processor on which oneDNN is not asked for products in half precision."""
GPU = Engine(806_000_000, 0.1, 0, 0, 0, 67_108_864, "measured on one H200")
"""A context with PyTorch's kernels, two workspaces of cuBLAS, and what the caching allocator rounds up. Before Hopper the workspaces are a
fourth of that."""


@final
@dataclass(frozen=True)
class Forecast:
    """One purpose at its height."""

    moment: str
    """When that is."""
    pieces: Mapping[str, int]
    """What takes how many bytes then."""

    @property
    def peak(self) -> int:
        """All of it."""
        return sum(self.pieces.values())


def forecast(shape: Shape, setting: Setting, purpose: Purpose, engine: Engine, whole: int | None = None) -> Forecast:
    """The height of one purpose.

    Args:
        shape: of the base.
        setting: what is planned.
        purpose: what for.
        engine: where.
        whole: bytes of memory of a CPU on which the server may keep the linears a second time, as `headstart serve` does by itself where
            memory is ample; None: it does not.

    Raises:
        BaseRefused: targets or layers that the base does not have, or a family whose steps are not known.
    """
    # Packed weights cannot be trained.
    trained = "bf16" if purpose == "full" and setting.precision in PACKED else setting.precision
    setting = replace(setting, precision=trained, card=engine.card)
    moment = max(_moments(shape, setting, purpose, whole), key=lambda it: it.bytes)
    pieces = {"base": base_bytes(shape, setting.precision)} | dict(moment.pieces)
    pieces |= {"a linear unpacked": unpacked(shape, setting), "bitsandbytes": engine.packer if setting.precision in PACKED else 0}
    pieces |= {"workspaces of products": engine.workspaces}
    pieces |= {"tokenizer": engine.token * shape.vocabulary, "process": engine.process}
    answers = purpose == "serve" or (purpose == "adapt" and setting.folds > 0)
    pieces |= {"compiled products": engine.code if answers and setting.width == 2 else 0}
    pieces |= {"held by the allocator": int(engine.waste * moment.bytes)}
    return Forecast(moment.name, {name: size for name, size in pieces.items() if size})


def _moments(shape: Shape, setting: Setting, purpose: Purpose, whole: int | None) -> list[Moment]:
    if purpose == "adapt":
        return adapting(shape, setting)
    if purpose == "meta-train":
        return meta_step(shape, setting)
    if purpose == "full":
        return tuning(shape, setting)
    base = base_bytes(shape, setting.precision)
    linears = setting.width * (shape.layers * sum(it.width_in * it.width_out for it in shape.linears) + shape.width * shape.vocabulary)
    twice = setting.precision not in PACKED and whole is not None and COPY * base < whole
    return answering(shape, setting, linears if twice else 0)


def base_bytes(shape: Shape, precision: str) -> int:
    """The weights alone, with what they are packed by; embeddings, head and norms are not packed."""
    if precision not in PACKED:
        return shape.parameters * BYTES[precision]
    weights = shape.layers * sum(it.width_in * it.width_out for it in shape.linears)
    # In 8 bits a row has a scale of four bytes; in 4 bits a linear has two tables of 16 and 256 numbers, and a mean.
    each = [4 * it.width_out if precision == "8bit" else 4 * (16 + 256 + 1) for it in shape.linears]
    return int(weights * PACKED[precision]) + shape.layers * sum(each) + (shape.parameters - weights) * BYTES[precision]


def file_bytes(shape: Shape, setting: Setting) -> int:
    """An adapter's file: two bytes a number, and a header of some hundred bytes a tensor."""
    return 2 * adapter_numbers(shape, setting)
