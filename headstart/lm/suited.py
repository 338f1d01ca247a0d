"""Whether a base can be read as answering and serving read it: rows of unequal length side by side, each begun by what another has read.

Tried when it is loaded, before anything is taught on it that could not be asked.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from headstart.bank import BASE
from headstart.errors import BaseRefused
from headstart.lm.graft import Grafted
from headstart.lm.hooked import Hooked
from headstart.lm.packed import fits
from headstart.lm.places import Places, Turn
from headstart.terms import ALL_LINEAR

_KEYS_AND_VALUES = {"DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer"}
"""What transformers keeps for a layer of attention, or for one that keeps nothing, as its classes are named."""
_ROWS = ([2, 3, 4, 5, 6, 7], [9, 3], [2, 3, 4, 8])
"""The last begins as the first does."""
_SHARED = 3
_ASTRAY = 0.5
"""Share of its own length by which a hidden state may differ: by rounding in 8 bits up to 0.1, for a token at a wrong place 0.7 to 1."""


def refuse_unsuited(model: PreTrainedModel, name: str) -> None:
    """See that a base can be asked and served.

    Args:
        model: as it was loaded; it has no hooks afterwards.
        name: of the base.

    Raises:
        BaseRefused: it has nothing to bend, keeps more than keys and values between tokens, or cannot read such rows by its own forward.
    """
    net = Grafted(model, ALL_LINEAR)
    try:
        wrong = None if fits(net) else _kept_besides(model) or _astray(net)
    finally:
        net.remove()
    if wrong:
        raise BaseRefused(
            f"The base '{name}' ({type(model).__name__}) {wrong}: a base is wanted whose layers all have attention over keys and values, "
            "such as Llama, Qwen 3, Mistral, Gemma 3 or Phi 3."
        )


def _kept_besides(model: PreTrainedModel) -> str:
    """What some layers keep in place of keys and values, such as the state of a convolution, which no row can share or take back."""
    layers = DynamicCache(config=model.config).layers
    odd = [type(it).__name__ for it in layers if type(it).__name__ not in _KEYS_AND_VALUES]
    if odd:
        return f"keeps a state of another kind between tokens in {len(odd)} of its {len(layers)} layers ({', '.join(sorted(set(odd)))})"
    # GPT-Neo cuts its windows by itself, from where the longest row stands.
    local = "local" in getattr(model.config, "attention_layers", ())
    return "has windows that take all rows for equally long" if local else ""


def _astray(net: Grafted) -> str:
    """What goes wrong when rows are read side by side that can be read one by one; empty: nothing."""
    try:
        with torch.inference_mode():
            wanted, got = torch.cat([_alone(net, row) for row in _ROWS]).float(), _side_by_side(net).float()
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # A foreign forward may fail at anything that it is given in another form than it knows.
        return f"cannot read rows of unequal length ({type(error).__name__}: {(str(error) or 'no more is said').splitlines()[0]})"
    apart = ((got - wanted).norm(dim=-1) / wanted.norm(dim=-1)).max()
    return f"reads rows of unequal length otherwise than each alone (by {float(apart):.0%})" if apart > _ASTRAY else ""


def _alone(net: Grafted, row: list[int]) -> Tensor:
    """What reaches the head behind a row's last token, (1, width), read at once by the model's own means."""
    tokens = torch.tensor([row], device=net.device)
    return net.feed({}, torch.tensor([BASE], device=net.device), tokens, None, torch.arange(len(row), device=net.device)[None], None)


def _side_by_side(net: Grafted) -> Tensor:
    """The same of all rows, (rows, width): the first two read, the last begun by what the first has, and the last tokens of all at once."""
    read, places = Hooked(net), Places(len(_ROWS))
    first, second, third = _ROWS
    places.join([], 0)
    places.join([], 0)
    read.reach(places, {}, [Turn(0, BASE, first[:-1]), Turn(1, BASE, second[:-1])])
    places.join(places.copy(0, _SHARED), _SHARED)
    reaching = read.reach(places, {}, [Turn(row, BASE, tokens[-1:]) for row, tokens in enumerate((first, second, third))])
    read.head(reaching)
    return reaching
