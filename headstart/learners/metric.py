"""Metric-based learners: an embedding in which closeness is the classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.closeness import CLOSENESS, Measure, cosine
from headstart.learners.embedding import codes, embed, through_query, ways_shown
from headstart.learners.layers import draw_lstm, lstm
from headstart.learners.learner import Meta
from headstart.learners.parts import prefixed
from headstart.net import Net
from headstart.settings import below, not_above_none, refuse


@final
@dataclass(frozen=True)
class Prototypical:
    """A class is the mean of its support's features, and a query belongs to the closest.

    Fast is the prototypes, (tasks, ways, features). Meta is the embedding, "net.*", and for a cosine "log_scale": a learned
    inverse temperature. By Euclidean distance the embedding sets the scale itself, and the scores are minus its square.

    A net that normalises by its batch does so for the support by itself and for a task's queries by themselves. The authors' code
    trains on the two together, and so its prototypes depend on the queries; ours do not.

    Source: Snell et al. 2017, Prototypical networks, equations 1 and 2, algorithm 1; for the scale Gidaris & Komodakis 2018, equation 4.
    """

    net: Net
    """The embedding, (rows, n, ...) -> (rows, n, features)."""
    measure: Measure = "euclidean"
    """How closeness is measured."""
    scale: float = 10.0
    """Where the cosine's inverse temperature starts."""

    def __post_init__(self) -> None:
        refuse(not_above_none(self, "scale"))

    def begin(self, seed: int) -> Meta:
        """The embedding's fresh weights, and the scale."""
        scale = {"log_scale": torch.tensor(math.log(self.scale))} if self.measure != "euclidean" else {}
        return prefixed("net", self.net.blank(seed)) | scale

    def adapt(self, meta: Meta, support: Labelled) -> Tensor:
        """The mean of each class's features, (tasks, ways, features).

        Raises:
            TasksError: targets are values, or a task shows no example of some class.
        """
        features = embed(self.net, meta, support.inputs)
        members = codes(support.targets, ways_shown(support.targets), features.dtype)
        return members.mT @ features / members.sum(1)[..., None]

    def predict(self, meta: Meta, fast: Tensor, asked: Asked) -> Tensor:
        """Closeness to each prototype, (rows, n, ways)."""
        close = CLOSENESS[self.measure](embed(self.net, meta, asked.inputs), fast[asked.owners])
        return close * meta["log_scale"].exp() if self.measure != "euclidean" else close

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """Through the query loss."""
        return through_query(self, meta, episodes)


@final
@dataclass(frozen=True)
class Matching:
    """A query's label is the support's labels, weighed by attention. Scores are logarithms of probabilities.

    Attention is the softmax of cosines times a learned scale, "log_scale"; the paper has none, which is 1 and bounds how sure it
    can be. Fast is (features (tasks, n, features), one-hot labels (tasks, n, ways)).

    With `context` steps, every example is embedded in view of the whole support (full context embeddings): the support by a
    bidirectional LSTM along its order, so that order then matters, and a query by an LSTM that attends to the support.

    Source: Vinyals et al. 2016, Matching networks, equation 1 and section 2.1.1; contexts: appendix A, equations 3 to 8.
    """

    net: Net
    """The embedding, (rows, n, ...) -> (rows, n, features)."""
    scale: float = 10.0
    """Where the cosine's inverse temperature starts."""
    context: int = 0
    """Steps of the query's attention LSTM; 0 embeds each example by itself."""
    features: int = 64
    """Width of what the net gives; only contexts need to know."""

    def __post_init__(self) -> None:
        refuse(not_above_none(self, "scale") + below(0, self, "context"))

    def begin(self, seed: int) -> Meta:
        """The embedding's fresh weights, the scale, and the LSTMs of the contexts."""
        chance, width = torch.Generator().manual_seed(seed), self.features
        inward = {"forward": 2, "backward": 2, "asking": 3} if self.context else {}
        contexts = [prefixed(name, draw_lstm(count * width, width, chance)) for name, count in inward.items()]
        meta = prefixed("net", self.net.blank(seed)) | {"log_scale": torch.tensor(math.log(self.scale))}
        return {name: w for some in (meta, *contexts) for name, w in some.items()}

    def adapt(self, meta: Meta, support: Labelled) -> tuple[Tensor, Tensor]:
        """Keep the support.

        Raises:
            TasksError: targets are values, or a task shows no example of some class.
            BankError: with contexts, the net gives another width than `features`.
        """
        features = self._embed(meta, support.inputs)
        labels = codes(support.targets, ways_shown(support.targets), features.dtype)
        if self.context:
            along = _along(meta, "forward", features) + _along(meta, "backward", features.flip(1)).flip(1)
            features = features + along
        return features, labels

    def predict(self, meta: Meta, fast: tuple[Tensor, Tensor], asked: Asked) -> Tensor:
        """The logarithm of each class's probability, (rows, n, ways)."""
        owner, asking = asked.owners, self._embed(meta, asked.inputs)
        support, labels = fast[0][owner], fast[1][owner]
        if self.context:
            asking = self._in_context(meta, asking, support)
        attention = F.log_softmax(cosine(asking, support) * meta["log_scale"].exp(), dim=2)
        # Summed as logarithms: a sharp attention underflows.
        return attention[..., None].masked_fill(labels[:, None] == 0, -torch.inf).logsumexp(2)

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """Through the query loss."""
        return through_query(self, meta, episodes)

    def _embed(self, meta: Meta, inputs: Tensor) -> Tensor:
        return embed(self.net, meta, inputs, self.features if self.context else None)

    def _in_context(self, meta: Meta, asking: Tensor, support: Tensor) -> Tensor:
        hidden, cell = asking, torch.zeros_like(asking)
        for _ in range(self.context):
            read = F.softmax(hidden @ support.mT, dim=2) @ support
            out, cell = lstm(meta, "asking", torch.cat([asking, hidden, read], dim=2), cell)
            hidden = out + asking
        return hidden


def _along(meta: Meta, name: str, features: Tensor) -> Tensor:
    """The outputs of an LSTM along the support: (tasks, n, features) -> the same."""
    hidden = cell = torch.zeros_like(features[:, 0])
    outputs = []
    for x in features.unbind(1):
        hidden, cell = lstm(meta, name, torch.cat([x, hidden], dim=1), cell)
        outputs.append(hidden)
    return torch.stack(outputs, dim=1)
