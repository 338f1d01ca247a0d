"""Sites: the linears of a model that a bank may bend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from headstart.errors import BaseRefused, nearest
from headstart.lm.quantised import bits_of_linear
from headstart.terms import ALL_LINEAR


@dataclass(frozen=True)
class Site:
    """The widths of one linear."""

    width_in: int
    width_out: int


def find_sites(model: PreTrainedModel, targets: Sequence[str] | str, layers: Sequence[int] | None = None) -> dict[str, Site]:
    """The linears of the text layers whose names end in one of the targets, by full module name.

    What reads images or sound, which no text goes through, has linears of the same names; they are none of them.

    Args:
        model: a causal language model.
        targets: endings such as "q_proj" or "mlp.c_fc", or "all-linear" for every linear of every layer.
        layers: keep only these layers; None: all.

    Raises:
        BaseRefused: a target that names no linear (with the names there are), or a layer that is not there; see `blocks_of`.
    """
    within = {id(m) for block in blocks_of(model) for m in block.modules()}
    linears = {name: site for name, m in model.named_modules() if id(m) in within and (site := _site(m))}
    wanted = list(linears) if targets == ALL_LINEAR or list(targets) == [ALL_LINEAR] else []
    for target in [] if wanted else targets:
        hits = [name for name in linears if name == target or name.endswith("." + target)]
        if not hits:
            names = {n.rpartition(".")[2] for n in linears}
            raise BaseRefused(
                f"No linear of {type(model).__name__} is named '{target}'; it has {', '.join(sorted(names))}.{nearest(target, names)}"
            )
        wanted += hits
    kept = [name for name in linears if name in set(wanted) and (layers is None or layer_of(name) in set(layers))]
    if not kept or not set(layers or ()) <= {layer_of(name) for name in linears}:
        raise BaseRefused(
            f"There is nothing to bend in layers {', '.join(map(str, layers or ()))}: the model's layers are 0 to {_last_layer(linears)}."
        )
    return {name: linears[name] for name in kept}


def blocks_of(model: PreTrainedModel) -> list[GradientCheckpointingLayer]:
    """The layers that a text goes through, bottom first: the list of checkpointable blocks that is as long as the config says.

    Raises:
        BaseRefused: there is no list of such blocks.
    """
    # Of some models what is called the decoder is their head.
    lists = _lists(model.get_decoder()) or _lists(model)
    if not lists:
        raise BaseRefused(
            f"{type(model).__name__} has no list of transformer layers that this version of transformers marks as such; it cannot be bent."
        )
    count = getattr(model.config.get_text_config(), "num_hidden_layers", 0)
    return max(lists, key=lambda blocks: (len(blocks) == count, len(blocks)))


def _lists(module: nn.Module) -> list[list[GradientCheckpointingLayer]]:
    lists = (list(m) for m in module.modules() if isinstance(m, nn.ModuleList))
    return [blocks for blocks in lists if blocks and all(isinstance(block, GradientCheckpointingLayer) for block in blocks)]


def turned(module: nn.Module) -> bool:
    """Whether a linear keeps its weight as (width_in, width_out), as GPT-2's do, and not the other way round."""
    return isinstance(module, Conv1D)


def layer_of(name: str) -> int | None:
    """The layer index in a module name, or None where it has none."""
    found = re.search(r"\.(\d+)\.", name)
    return int(found[1]) if found else None


def _last_layer(names: Sequence[str] | dict[str, Site]) -> int:
    return max((layer_of(n) or 0 for n in names), default=0)


def _site(module: nn.Module) -> Site | None:
    if isinstance(module, Conv1D):
        return Site(module.weight.shape[0], module.weight.shape[1])
    if isinstance(module, nn.Linear) and _is_plain(module):
        return Site(module.in_features, module.out_features)
    return None


def _is_plain(linear: nn.Linear) -> bool:
    """Whether what comes out is one tensor of the linear's width; a router that is built on a linear gives scores and choices."""
    if type(linear).forward is nn.Linear.forward or bits_of_linear(linear):
        return True
    like = linear.weight
    try:
        with torch.no_grad():
            out = linear(
                torch.zeros(1, linear.in_features, dtype=like.dtype if like.dtype.itemsize > 1 else torch.bfloat16, device=like.device)
            )
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    return isinstance(out, Tensor) and out.shape == (1, linear.out_features)
