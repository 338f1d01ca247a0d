"""Nearest neighbour: the baseline that any learner has to beat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.closeness import CLOSENESS, Measure
from headstart.learners.embedding import embed
from headstart.learners.learner import Meta
from headstart.learners.parts import prefixed
from headstart.net import Net, Raw


@final
@dataclass(frozen=True)
class Neighbour:
    """Answers as the closest support example does. Nothing is learned across tasks.

    On raw inputs by default. With a net it compares features: those of the untrained net by the meta of `begin`, or of a trained one
    by a meta that holds its weights as "net.*", such as that of prototypes or matching.

    Fast is (features (tasks, n, features), targets (tasks, n) or (tasks, n, width)).

    Source: Cover & Hart 1967, with one neighbour.
    """

    net: Net = field(default_factory=Raw)
    """What is compared: its features; by default inputs as they are."""
    measure: Measure = "euclidean"
    """How closeness is measured."""

    def begin(self, seed: int) -> Meta:
        """The net's fresh weights."""
        return prefixed("net", self.net.blank(seed))

    def adapt(self, meta: Meta, support: Labelled) -> tuple[Tensor, Tensor]:
        """Keep the support."""
        return embed(self.net, meta, support.inputs), support.targets

    def predict(self, meta: Meta, fast: tuple[Tensor, Tensor], asked: Asked) -> Tensor:
        """The closest example's value; or for each class the closeness of its closest example, (rows, n, ways)."""
        owner = asked.owners
        features, targets = fast[0][owner], fast[1][owner]
        close = CLOSENESS[self.measure](embed(self.net, meta, asked.inputs), features)
        if targets.is_floating_point():
            nearest = close.argmax(2, keepdim=True).expand(-1, -1, targets.shape[2])
            return targets.gather(1, nearest)
        scores = close.new_full((*close.shape[:2], int(fast[1].max()) + 1), -torch.inf)
        return scores.scatter_reduce(2, targets[:, None].expand(close.shape), close, "amax")

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """Zeros, as there is nothing to learn, and the query losses."""
        with torch.no_grad():
            outputs = self.predict(meta, self.adapt(meta, episodes.support), episodes.query.asked)
        return {name: torch.zeros_like(w) for name, w in meta.items()}, episodes.query.losses(outputs)
