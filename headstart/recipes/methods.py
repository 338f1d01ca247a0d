"""`[learner]`: how tasks are learned. A kind is a learner's class, with the settings that make it that kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, final

import torch

from headstart.bank import fill
from headstart.learners.direct import Direct
from headstart.learners.gradient import Maml
from headstart.learners.implicit import Implicit
from headstart.learners.inner import Adam, Inner, Momentum, Sgd
from headstart.learners.joint import Joint
from headstart.learners.learner import Learner
from headstart.learners.memory import Mann
from headstart.learners.metric import Matching, Prototypical
from headstart.learners.neighbour import Neighbour
from headstart.learners.reptile import Reptile
from headstart.learners.snail import Snail
from headstart.net import Net
from headstart.recipes.papers import Advice
from headstart.recipes.sources import Shape
from headstart.settings import Key, keys

INNER: Mapping[str, Inner] = {"sgd": Sgd(), "momentum": Momentum(), "adam": Adam(), "adam0": Adam(first_decay=0.0)}
"""Optimisers inside a task; adam0 has no momentum, as in Reptile."""
_FITTED = ("net", "features", "ways", "length")
"""Fields that follow from the tasks and the net."""


@final
@dataclass(frozen=True)
class Kind:
    """One kind of learner."""

    cls: type[Any]
    """Its class."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Settings that make it this kind; they are no keys."""
    head: bool = False
    """Whether its net gives the answers themselves; else it gives features."""
    net: str = ""
    """The kind of net where none is asked for; nothing: the tasks decide."""
    suggests: tuple[Advice, ...] = ()
    """What to set, whatever the tasks."""
    texts: bool = False
    """Whether it can bend a language model."""
    whole: bool = False
    """Of a language model: whether it trains on all of a task at once, support and query alike."""

    @property
    def keys(self) -> list[Key]:
        """What may be set."""
        given = {*self.fixed, *(name for name in _FITTED if name in self._fields)}
        inner = [self._inner()] if "inner" in self._fields else []
        return [*keys(self.cls, given), *inner]

    def make(self, values: Mapping[str, Any], net: Net, shape: Shape) -> Learner:
        """The learner.

        Args:
            values: of every key.
            net: what it bends, or embeds by.
            shape: of the tasks it is judged on.
        """
        fitted: dict[str, Any] = {"net": net, "ways": shape.outputs, "length": shape.shots + 1}
        if "features" in self._fields:
            fitted["features"] = _width(net, shape)
        settings = {**values, **self.fixed, **{name: value for name, value in fitted.items() if name in self._fields}}
        if "inner" in settings:
            settings["inner"] = INNER[settings["inner"]]
        made: Learner = self.cls(**settings)
        return made

    @property
    def _fields(self) -> dict[str, Field[Any]]:
        return {f.name: f for f in fields(self.cls)}

    def _inner(self) -> Key:
        factory = self._fields["inner"].default_factory
        default = factory() if factory is not MISSING else None
        name = next(name for name, inner in INNER.items() if inner == default)
        return Key("inner", Literal["sgd", "momentum", "adam", "adam0"], name, "The optimiser inside a task; adam0 has no momentum.")


def _width(net: Net, shape: Shape) -> int:
    """How many features a net gives."""
    bank, blank = fill(net.blank(0), 1), torch.zeros(1, 1, *shape.inputs, dtype=shape.dtype)
    # A language model may lie on a GPU, and its weights with it.
    device = next((w.device for w in bank.values()), blank.device)
    with torch.no_grad():
        outputs = net(bank, torch.tensor([1], device=device), blank.to(device))
    return int(outputs.flatten(2).shape[2])


KINDS: Mapping[str, Kind] = {
    "maml": Kind(Maml, {"order": 2, "learned": "none"}, head=True, texts=True),
    # Inner gradients are constants: Finn et al. 2017, section 5.2; Nichol et al. 2018, Reptile, equation 8.
    "fomaml": Kind(Maml, {"order": 1, "learned": "none"}, head=True, texts=True),
    # Almost no inner loop, inner steps move the head alone: Raghu et al. 2020, Rapid Learning or Feature Reuse?, equation 2.
    "anil": Kind(Maml, {"adapts": ("head.",), "learned": "none"}, head=True),
    # A step size for every number, learned along with it: Li et al. 2017, Meta-SGD, equation 3 and algorithm 1.
    "meta-sgd": Kind(Maml, {"learned": "element"}, head=True),
    # A learned step size for each tensor at each step: Antoniou et al. 2019, How to train your MAML, section 4, "LSLR".
    "lslr": Kind(Maml, {"learned": "tensor"}, head=True, texts=True),
    "reptile": Kind(
        Reptile,
        head=True,
        texts=True,
        # The whole way to where the inner steps end, which is no step size of another optimiser.
        suggests=(Advice({"outer.optimiser": "sgd", "outer.schedule": "linear"}), Advice({"outer.rate": 1.0}, {"outer.optimiser": "sgd"})),
    ),
    "imaml": Kind(Implicit, head=True),
    "joint": Kind(Joint, head=True),
    "in-context": Kind(Direct, texts=True, whole=True),
    "multi-task": Kind(Direct, texts=True, whole=True, suggests=(Advice({"tasks.form": "pairs"}),)),
    "prototypes": Kind(Prototypical),
    "matching": Kind(Matching),
    "mann": Kind(Mann, net="raw"),
    "snail": Kind(Snail),
    "neighbour": Kind(Neighbour, net="raw", suggests=(Advice({"outer.steps": 0}),)),
}
"""By name."""
