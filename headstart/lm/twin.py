"""A second model over the same weights, so that one can be taught while the other answers."""

from __future__ import annotations

import copy
from dataclasses import replace

from headstart.lm import quantised
from headstart.lm.chat import Chat
from headstart.lm.load import Base


def twin(base: Base) -> Base:
    """Modules and a tokenizer of its own over the very tensors of a base: no weight is held twice, and no hook is shared.

    Args:
        base: bare, as hooks on it would be copied; its weights are frozen, so two threads may read them.
    """
    same = {id(it): it for it in (*base.model.parameters(), *base.model.buffers(), *quantised.shared(base.model))}
    return replace(base, model=copy.deepcopy(base.model, same), chat=Chat(copy.deepcopy(base.chat.tokenizer), base.chat.context))
