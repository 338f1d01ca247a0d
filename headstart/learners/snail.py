"""SNAIL: the support as a sequence, read by temporal convolutions and attention, each position seeing only those before it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.embedding import codes, embed, through_query
from headstart.learners.layers import draw_linear, linear
from headstart.learners.learner import Meta
from headstart.learners.parts import part, prefixed
from headstart.net import Net
from headstart.settings import below, refuse


@final
@dataclass(frozen=True)
class Dense:
    """A gated causal convolution of kernel size 2.

    Source: Mishra et al. 2018, SNAIL, section 3.1, the dense block.
    """

    dilation: int
    """How far back the other tap lies, in positions."""
    filters: int
    """Channels that it adds."""

    def begin(self, width: int, chance: torch.Generator) -> Weights:
        """Both gates' weights, one linear over the two taps."""
        return prefixed("gates", draw_linear(2 * width, 2 * self.filters, chance))

    def along(self, weights: Weights, past: Tensor) -> Tensor:
        """Every position of the support: (tasks, n, width) -> (tasks, n, filters)."""
        return self._gated(weights, self._delayed(past)[:, :-1], past)

    def after(self, weights: Weights, past: Tensor, now: Tensor) -> Tensor:
        """Queries, each as the position after its row's support: (rows, n, width), (rows, asked, width) -> (rows, asked, filters)."""
        return self._gated(weights, self._delayed(past)[:, -1:], now)

    def _delayed(self, past: Tensor) -> Tensor:
        """What lies `dilation` back from positions 0 to n, zeros before the first: (tasks, n + 1, width)."""
        return F.pad(past, (0, 0, self.dilation, 0))[:, : past.shape[1] + 1]

    def _gated(self, weights: Weights, before: Tensor, x: Tensor) -> Tensor:
        # Apart, as all queries of a row have the same before.
        back, here = weights["gates.weight"].chunk(2, dim=1)
        signal, gate = (F.linear(before, back) + F.linear(x, here, weights["gates.bias"])).chunk(2, dim=2)
        return torch.tanh(signal) * torch.sigmoid(gate)


@final
@dataclass(frozen=True)
class Attention:
    """Causal attention with one head; a position sees itself and those before.

    Source: Mishra et al. 2018, SNAIL, section 3.1, the attention block.
    """

    key: int
    """Width of keys and queries."""
    value: int
    """Channels that it adds."""

    def begin(self, width: int, chance: torch.Generator) -> Weights:
        """The affine maps to keys, queries and values."""
        widths = {"key": self.key, "query": self.key, "value": self.value}
        return {name: w for to, out in widths.items() for name, w in prefixed(to, draw_linear(width, out, chance)).items()}

    def along(self, weights: Weights, past: Tensor) -> Tensor:
        """Every position of the support: (tasks, n, width) -> (tasks, n, value)."""
        key, query, value = self._mapped(weights, past)
        ahead = torch.ones(past.shape[1], past.shape[1], dtype=torch.bool, device=past.device).triu(1)
        return F.softmax((query @ key.mT).masked_fill(ahead, -torch.inf), dim=2) @ value

    def after(self, weights: Weights, past: Tensor, now: Tensor) -> Tensor:
        """Queries, each as the position after its row's support: (rows, n, width), (rows, asked, width) -> (rows, asked, value)."""
        key, _, value = self._mapped(weights, past)
        own_key, query, own_value = self._mapped(weights, now)
        scores = torch.cat([query @ key.mT, (query * own_key).sum(2, keepdim=True)], dim=2)
        attention = F.softmax(scores, dim=2)
        return attention[..., :-1] @ value + attention[..., -1:] * own_value

    def _mapped(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query = linear(weights, "query", x) / math.sqrt(self.key)
        return linear(weights, "key", x), query, linear(weights, "value", x)


@final
@dataclass(frozen=True)
class Snail:
    """Embedded examples with their answers, then a query without one, as one sequence whose last position is the prediction.

    A position sees only those before it, so the support is read once for all its queries: each continues it by itself, as the
    next position. Every layer adds channels beside those that it read, so fast is one tensor with what every layer saw of the
    support, (tasks, n, channels), the embedding and the answers first. Answers may be classes or values.

    The convolutions of a block reach 1, 2, 4, … positions back, so that they cover `length`. As the paper prints it they reach 2, 4,
    8, …, and would leave every second position to the attentions.

    Source: Mishra et al. 2018, A simple neural attentive meta-learner, section 3 and the architecture of section 5.1.
    """

    net: Net
    """The embedding, (rows, n, ...) -> (rows, n, features)."""
    features: int = 64
    """Width of what the net gives."""
    ways: int = 5
    """Classes of a task; or the width of its values."""
    length: int = 26
    """Longest sequence: ways * shots + 1. Longer ones work, but the convolutions see their end only."""
    filters: int = 128
    """Channels that each convolution adds."""
    attention: tuple[tuple[int, int], ...] = ((64, 32), (256, 128), (512, 256))
    """Width of keys and of values of each attention; between two lies a block of convolutions."""

    def __post_init__(self) -> None:
        narrow = min((width for pair in self.attention for width in pair), default=1) < 1
        refuse(below(1, self, "filters") + ([f"learner.attention is {self.attention}; widths of 1 or more are wanted."] if narrow else []))

    def begin(self, seed: int) -> Meta:
        """Fresh weights of the embedding, of every layer and of the answer."""
        chance = torch.Generator().manual_seed(seed)
        meta, width = prefixed("net", self.net.blank(seed)), self.features + self.ways
        for name, layer in self._layers():
            meta |= prefixed(name, layer.begin(width, chance))
            width += layer.value if isinstance(layer, Attention) else layer.filters
        return meta | prefixed("answer", draw_linear(width, self.ways, chance))

    def adapt(self, meta: Meta, support: Labelled) -> Tensor:
        """What every layer saw of the support, (tasks, n, channels).

        Raises:
            TasksError: more classes, or values of another width, than `ways`.
            BankError: the net gives another width than `features`.
        """
        embedded = embed(self.net, meta, support.inputs, self.features)
        past = torch.cat([embedded, codes(support.targets, self.ways, embedded.dtype)], dim=2)
        for name, layer in self._layers():
            past = torch.cat([past, layer.along(part(name, meta), past)], dim=2)
        return past

    def predict(self, meta: Meta, fast: Tensor, asked: Asked) -> Tensor:
        """Scores or values of each query by itself, (rows, n, ways)."""
        past, embedded = fast[asked.owners], embed(self.net, meta, asked.inputs, self.features)
        now = F.pad(embedded, (0, self.ways))
        for name, layer in self._layers():
            now = torch.cat([now, layer.after(part(name, meta), past[..., : now.shape[2]], now)], dim=2)
        return linear(meta, "answer", now)

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """Through the query loss."""
        return through_query(self, meta, episodes)

    def _layers(self) -> Iterator[tuple[str, Dense | Attention]]:
        for block, (key, value) in enumerate(self.attention):
            for i in range(math.ceil(math.log2(self.length)) if block else 0):
                yield f"convolution{block}_{i}", Dense(2**i, self.filters)
            yield f"attention{block}", Attention(key, value)
