"""A meta-step as one recorded CUDA graph: of a small net's, most of the time goes into starting kernels, not into what they compute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.errors import SettingsError, first_line
from headstart.learners.learner import Learner, Meta

_WARM = 3
"""Meta-steps before the recording, in which libraries choose their kernels and take their workspaces."""


@final
@dataclass(frozen=True)
class Recorded:
    """A learner whose meta-steps are played back from a recording of the first: the same kernels, started all at once.

    Only for a GPU, for tasks of the classics, and for learners whose meta-step looks at no number on its way: the gradient-based ones.
    Each shape of a batch has a recording, which holds the memory of a step.

    Source: Ng et al. 2021, Accelerating PyTorch with CUDA graphs.
    """

    learner: Learner
    _tapes: dict[tuple[Any, ...], _Tape] = field(default_factory=dict, repr=False, compare=False)

    def begin(self, seed: int) -> Meta:
        """The learner's."""
        return self.learner.begin(seed)

    def adapt(self, meta: Meta, support: Labelled) -> Any:
        """The learner's."""
        return self.learner.adapt(meta, support)

    def predict(self, meta: Meta, fast: Any, asked: Asked) -> Tensor:
        """The learner's."""
        return self.learner.predict(meta, fast, asked)

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """The learner's, played back."""
        shapes = tuple(x.shape for x in _tensors(episodes))
        if shapes not in self._tapes:
            self._tapes[shapes] = _record(self.learner, meta, episodes)
        return self._tapes[shapes].play(meta, episodes)


@final
@dataclass(frozen=True)
class _Tape:
    """A recording, and the places in memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    meta: Weights
    episodes: Episodes
    gradient: Weights
    losses: Tensor

    def play(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        _copy([*meta.values(), *_tensors(episodes)], [*(self.meta[name] for name in meta), *_tensors(self.episodes)])
        self.graph.replay()
        return {name: g.clone() for name, g in self.gradient.items()}, self.losses.clone()


def _record(learner: Learner, meta: Meta, episodes: Episodes) -> _Tape:
    meta = {name: w.detach().clone() for name, w in meta.items()}
    shown, asked = (Labelled(side.inputs.clone(), side.targets.clone()) for side in (episodes.support, episodes.query))
    episodes = Episodes(shown, asked)
    # Nothing may be pending on the stream that is recorded, so what warms up goes by another.
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM):
            learner.meta_gradient(meta, episodes)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            gradient, losses = learner.meta_gradient(meta, episodes)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise SettingsError(
            f"recorded: this learner's meta-step cannot be recorded, as it looks at numbers on its way ({first_line(error)}). Leave it out."
        ) from error
    return _Tape(graph, meta, episodes, gradient, losses)


def _tensors(episodes: Episodes) -> list[Tensor]:
    return [x for side in (episodes.support, episodes.query) for x in (side.inputs, side.targets)]


def _copy(sources: Iterable[Tensor], places: Iterable[Tensor]) -> None:
    for source, place in zip(sources, places, strict=True):
        place.copy_(source)
