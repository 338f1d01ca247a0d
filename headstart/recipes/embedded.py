"""Meta-training of a language model's features: labelled texts, an embedding, and any metric learner on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.lm.features import Features, text_net
from headstart.lm.load import Base, load
from headstart.recipes.sources import Sampling, Sources
from headstart.recipes.texts import tokenised
from headstart.settings import Key, keys
from headstart.tasks.progress import Progress
from headstart.tasks.splits import deal
from headstart.tasks.topics import read_topics

LEARNERS = ("prototypes", "matching", "neighbour")
"""Those that learn from features alone."""


@final
@dataclass(frozen=True)
class Texts:
    """Labelled texts, whose labels are dealt to the splits."""

    data: Path
    """A .jsonl, .json or .csv file, or .jsonl.gz: {"text", "label"} rows, or a task a line."""


@final
@dataclass(frozen=True)
class Reads:
    """A base as an embedding; the upper third of the layers that are run is bent."""

    base: str | None = None
    """A Hugging Face id, a folder or a .gguf file. None: the embedded one."""
    rank: int = 8
    """Of the LoRA."""


@final
@dataclass(frozen=True)
class Kind:
    """One kind of labelled texts."""

    keys: tuple[Key, ...] = (*keys(Texts), *keys(Sampling))
    """What may be set."""
    net: str = "features"
    """The kind of net."""


KINDS: Mapping[str, Kind] = {"topics": Kind()}
"""By name."""


def bent(values: Mapping[str, Any], progress: Progress) -> tuple[Base, Features]:
    """A base, and the embedding that it is.

    Raises:
        BaseRefused: no such base.
    """
    it = Reads(**values)
    base = load(it.base, tell=lambda what: progress(what, 0, 1))
    return base, text_net(base, rank=it.rank)


def sources(values: Mapping[str, Any], base: Base, seed: int) -> Sources:
    """Episodes of token ids, for training by the seed; the others are the same for every seed.

    Raises:
        ExamplesError: a file that cannot be used.
        TasksError: fewer labels than splits, or no task can be so large.
    """
    splits = {split: tokenised(base, topics) for split, topics in deal(read_topics(values["data"])).items()}
    return Sampling(**{key.name: values[key.name] for key in keys(Sampling)}).sources(splits, seed)
