"""Sites: the linears of a model that a bank may bend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from headstart.errors import BaseRefused, nearest

ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class Site:
    """The widths of one linear."""

    width_in: int
    width_out: int


def find_sites(model: PreTrainedModel, targets: Sequence[str] | str, layers: Sequence[int] | None = None) -> dict[str, Site]:
    """The linears whose names end in one of the targets, by full module name.

    Args:
        model: a causal language model.
        targets: endings such as "q_proj" or "mlp.c_fc", or "all-linear" for every linear but the head.
        layers: keep only these layers; None: all.

    Raises:
        BaseRefused: a target that names no linear (with the names there are), or a layer that is not there.
    """
    head = model.get_output_embeddings()
    linears = {name: site for name, m in model.named_modules() if m is not head and (site := _site(m))}
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
    if isinstance(module, nn.Linear):
        return Site(module.in_features, module.out_features)
    return None
