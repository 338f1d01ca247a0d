"""Meta-training of a language model's features: labelled texts, an embedding, and any metric learner on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch

from headstart.errors import TasksError
from headstart.lm.features import Features, text_net, tokens_of
from headstart.lm.load import Base
from headstart.recipes.sources import Sampling, Sources
from headstart.settings import Key, keys
from headstart.tasks.episodes import Held
from headstart.tasks.splits import deal
from headstart.tasks.topics import of_one_topic, read_topics
from headstart.terms import counted

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


def bent(values: Mapping[str, Any], base: Base) -> Features:
    """The embedding that a base is, with a LoRA at its sites."""
    return text_net(base, rank=Reads(**values).rank)


def sources(values: Mapping[str, Any], base: Base, seed: int) -> tuple[Sources, int]:
    """Episodes of token ids, for training by the seed; the others are the same for every seed.

    Returns:
        The sources, and how many texts were left out as they are of several labels.

    Raises:
        ExamplesError: a file that cannot be used.
        TasksError: fewer labels than splits, or no task can be so large.
    """
    clean, doubtful = of_one_topic(read_topics(values["data"]))
    try:
        dealt = deal(clean)
    except TasksError as error:
        out = f" Left out: {counted(doubtful, 'text')} of several labels." if doubtful else ""
        raise TasksError(f"{error}{out}") from error
    splits = {split: tokenised(base, topics) for split, topics in dealt.items()}
    return Sampling(**{key.name: values[key.name] for key in keys(Sampling)}).sources(splits, seed), doubtful


def tokenised(base: Base, topics: Mapping[str, Sequence[str]]) -> Held:
    """Topics as token ids, all texts filled up to the longest: items (texts, length) int64.

    Args:
        base: whose tokenizer.
        topics: topic -> its texts.
    """
    counts = torch.tensor([len(texts) for texts in topics.values()])
    return Held(tuple(topics), counts, tokens_of(base.chat, [text for texts in topics.values() for text in texts]))
