"""A second model over the same weights, so that one can be taught while the other answers."""

from __future__ import annotations

import copy
from dataclasses import replace

from transformers import PreTrainedModel

from headstart.lm import quantised
from headstart.lm.load import Base


def twin(base: Base) -> Base:
    """Modules and a tokenizer of its own over the very tensors of a base.

    Args:
        base: bare; see `alike`.
    """
    return replace(base, model=alike(base.model), chat=base.chat.own())


def alike(model: PreTrainedModel) -> PreTrainedModel:
    """Modules of its own over the very tensors of a model: no weight is held twice, and no hook is shared.

    Args:
        model: bare, as hooks on it would be copied; its weights are frozen, so two threads may read them.
    """
    same = {id(it): it for it in (*model.parameters(), *model.buffers(), *quantised.shared(model))}
    return copy.deepcopy(model, same)
