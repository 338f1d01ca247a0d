"""`[net]`: what is bent. A net's ends follow from the tasks and the learner; what is between them may be set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from headstart.bank import Weights
from headstart.conv import Conv4
from headstart.errors import SettingsError
from headstart.learners.learner import Meta
from headstart.net import Fixed, Level, Mlp, Net, Raw
from headstart.recipes.embedded import Reads
from headstart.recipes.spoken import Bends
from headstart.settings import Key, keys


@final
@dataclass(frozen=True)
class Kind:
    """One kind of net."""

    keys: tuple[Key, ...]
    """What may be set."""
    make: Callable[[Mapping[str, Any], tuple[int, ...], int | None], Net] | None = None
    """Every key's value, the shape of an input, and the number of outputs (None: features are wanted) -> the net. None: a base is loaded
    in its place."""

    @property
    def texts(self) -> bool:
        """Whether it is a language model, which tasks in texts ask for and nothing else can."""
        return self.make is None


@final
@dataclass(frozen=True)
class Beginning:
    """How a net begins, and whether it stays so."""

    fixed: bool = False
    """Leave the net as `begin` gives it and train what else the learner has: quicker, for features that are good already."""
    level: bool = False
    """Begin a fresh head at zero, which prefers no class, and not as drawn: for features that `begin` gives, above all."""


@final
@dataclass(frozen=True)
class Layers:
    """Linear layers."""

    widths: tuple[int, ...] = (40, 40)
    """Of the hidden layers; the last one's is that of the features."""
    normed: bool = False
    """Batch normalisation before each ReLU, by the statistics of the batch at hand."""


def _mlp(values: Mapping[str, Any], inputs: tuple[int, ...], outputs: int | None) -> Net:
    widths = (*values["widths"], *([] if outputs is None else [outputs]))
    if not widths:
        raise SettingsError("net.widths is []; one at least is wanted, where features are.")
    if min(widths) < 1:
        raise SettingsError(f"net.widths is {list(values['widths'])}; 1 or more each is wanted.")
    return Mlp((math.prod(inputs), *widths), values["normed"])


def _conv4(values: Mapping[str, Any], inputs: tuple[int, ...], outputs: int | None) -> Net:
    if len(inputs) != 3 or inputs[1] != inputs[2]:
        raise SettingsError(f"net.kind is 'conv4', which reads square images; these tasks' inputs are {inputs}: choose 'mlp'.")
    return Conv4(outputs, channels=inputs[0], size=inputs[1], **values)


def _raw(values: Mapping[str, Any], inputs: tuple[int, ...], outputs: int | None) -> Net:
    if outputs is not None:
        raise SettingsError("net.kind is 'raw', which has no weights, and this learner adapts weights: choose 'mlp' or 'conv4'.")
    return Raw()


def made(kind: str, values: Mapping[str, Any], inputs: tuple[int, ...], outputs: int | None) -> Net:
    """The net of a table, fixed where it asks for that.

    Raises:
        SettingsError: it cannot read such inputs, or has nothing to adapt.
    """
    make = KINDS[kind].make
    assert make is not None, "a language model is loaded"
    how = {key.name for key in keys(Beginning)} & set(values)
    begins = Beginning(**{name: values[name] for name in how})
    if begins.level and outputs is None:
        raise SettingsError("net.level is true, and the learner reads features, which no head follows: leave it out.")
    net = make({name: value for name, value in values.items() if name not in how}, inputs, outputs)
    net = Level(net) if begins.level else net
    return Fixed(net) if begins.fixed else net


def fixed_in_vain(learner: str, meta: Meta, head: bool, given: Weights) -> list[str]:
    """What is wrong with leaving a net as it was begun.

    Args:
        learner: its name.
        meta: what it begins with.
        head: whether its net gives the answers themselves.
        given: what `begin` names.
    """
    net = {name for name in meta if name.startswith("net.")}
    if head or net == set(meta):
        return [f"net.fixed is true, and {learner} trains nothing besides the net: leave it out."]
    if not net <= set(given):
        return ["net.fixed is true, and no net was begun with: give as `begin` a run that trained one."]
    return []


KINDS: Mapping[str, Kind] = {
    "mlp": Kind((*keys(Layers), *keys(Beginning)), _mlp),
    "conv4": Kind((*keys(Conv4, ["ways", "channels", "size"]), *keys(Beginning)), _conv4),
    "raw": Kind((), _raw),
    "lm": Kind(tuple(keys(Bends))),
    "features": Kind(tuple(keys(Reads))),
}
"""By name."""
