"""Frozen bases whose linears are kept in 4 or 8 bits, by bitsandbytes: what is multiplied and differentiated through stays what it was.

Embeddings, head and norms keep the base's own format. A site's LoRA is a hook on its linear, so all that is asked of a packed linear is
its output and the gradient of its input; both are those of the weight that it stands for.

Source: Dettmers et al. 2023, QLoRA, section 3 (NF4, double quantisation); Dettmers et al. 2022, LLM.int8(), section 3.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from headstart.errors import BaseRefused, SettingsError

PRECISIONS: dict[str, tuple[torch.dtype | None, int | None]] = {
    "4bit": (None, 4),
    "8bit": (None, 8),
    "bf16": (torch.bfloat16, None),
    "fp16": (torch.float16, None),
    "fp32": (torch.float32, None),
}
"""What an operator asks for -> the format that is computed in (None: the machine's fastest), and bits of a linear's weight (None: all)."""
BLOCK = 64
"""Weights that share a scale in 4 bits."""
OUTLIER = 6.0
"""Inputs beyond this are multiplied in full by the 8-bit linears. Source: LLM.int8(), section 3.2."""


def config_of(bits: int, dtype: torch.dtype) -> BitsAndBytesConfig:
    """How transformers is to pack a model's linears.

    Args:
        bits: 4 or 8.
        dtype: what is computed in.

    Raises:
        SettingsError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise SettingsError(f"A base in {bits} bits needs bitsandbytes, which is not installed: pip install 'headstart[small]'.")
    # It warns of a kernel that it would fetch from a model hub, and works as well without.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=OUTLIER)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)


def refuse_others(config: Mapping[str, Any], name: str) -> None:
    """Refuse a base that was packed by another than bitsandbytes: its linears are not known here, or have no gradient.

    Raises:
        BaseRefused: it was.
    """
    told = config.get("quantization_config")
    by = told.get("quant_method") if isinstance(told, Mapping) else told
    if by and by != "bitsandbytes":
        raise BaseRefused(
            f"The base '{name}' is packed by {by}, which cannot be bent here: give what it was made from; --precision 4bit packs that."
        )


def settle(model: PreTrainedModel) -> PreTrainedModel:
    """Have packed linears keep their layout, whatever is asked of them first.

    On CPUs with bf16 instructions bitsandbytes lays a 4-bit weight out anew when it is first used without a gradient. The new layout has no
    backward pass: what is taught after a question was answered would get no gradient through it, and no error. 8-bit linears move their
    weight to another place at first use, which must not happen to one of two twins; and they keep what they are fed, see `_Through`. What
    is not packed leaves the file's mapping, as long as which stands every page that was read for packing counts as this process's memory.

    Raises:
        BaseRefused: a linear's width is no multiple of 64, for which 4 bits are unpacked wrongly on CPUs.
    """
    odd = sorted({it.in_features for it in packed(model) if bits_of_linear(it) == 4 and it.in_features % BLOCK})
    if odd:
        wide = ", ".join(map(str, odd))
        raise BaseRefused(f"4 bits are kept in blocks of {BLOCK}, and linears of this base are {wide} wide: try --precision 8bit.")
    for it in packed(model):
        if bits_of_linear(it) == 4:
            it.support_avx512bf16_for_cpu = False
        else:
            if it.weight.CB is not None:
                it.init_8bit_state()
            it.forward = partial(_through, it)
    few = {id(it.weight) for it in packed(model)}
    for it in model.parameters() if few else ():
        if id(it) not in few and it.device.type == "cpu":
            it.data = it.data.clone()
    return model


class _Through(torch.autograd.Function):
    """An 8-bit linear's output, and the gradient of its input.

    bitsandbytes keeps what the linear is fed, and of that once more the columns that it multiplies in full. Only a gradient of the weight
    would read either, and they lie in the function itself, where checkpointing does not reach them: 2.2 GB of a base of seven billion.
    """

    @staticmethod
    def forward(ctx: Any, fed: Tensor, linear: Any) -> Tensor:
        ctx.state = linear.state
        out: Tensor = type(linear).forward(linear, fed)
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        weight = ctx.state.CB.to(slope.dtype).mul_(ctx.state.SCB[:, None] * (1 / 127))
        return slope @ weight, None


def _through(linear: Any, fed: Tensor) -> Tensor:
    out: Tensor = _Through.apply(fed, linear)  # type: ignore[no-untyped-call]
    return out


def packed(model: nn.Module) -> Iterator[Any]:
    """The linears of a model that are kept in few bits."""
    return (it for it in model.modules() if bits_of_linear(it) is not None)


def bits_of_linear(module: nn.Module) -> int | None:
    """4, 8, or None where a module is no packed linear; told by its weight, so that bitsandbytes need not be there."""
    weight = module.weight if isinstance(module, nn.Linear) else None
    return 4 if hasattr(weight, "quant_state") else 8 if hasattr(weight, "CB") else None


def precision_of(model: PreTrainedModel) -> str:
    """A model's precision, in the words of `PRECISIONS`."""
    few = next((bits_of_linear(it) for it in packed(model)), None)
    if few is not None:
        return f"{few}bit"
    return next(name for name, (dtype, _) in PRECISIONS.items() if dtype == model.dtype)


def shared(model: nn.Module) -> Iterator[object]:
    """What packed linears hold beside their parameters, for a twin over the same memory: scales, and in 8 bits the weight once more."""
    for it in packed(model):
        yield from (it.state.CB, it.state.SCB) if bits_of_linear(it) == 8 else (it.weight.quant_state,)
