"""Labelled texts as tasks for an embedding that is meta-trained: `Features` reads what these episodes hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from headstart.lm.features import tokens_of
from headstart.lm.load import Base
from headstart.tasks.episodes import ClassTasks, Held
from headstart.tasks.splits import SHARES, deal
from headstart.tasks.topics import read_topics


def text_tasks(
    path: Path,
    base: Base,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    seed: int = 0,
    shares: Mapping[str, float] = SHARES,
) -> ClassTasks:
    """Episodes of token ids: inputs (tasks, n, length) int64, for a `Prototypical(text_net(base), measure="centred")`.

    Args:
        path: labelled texts, see `headstart.tasks.topics`; the labels are dealt out to the splits.
        base: whose tokenizer.
        ways: classes in a task.
        shots: support examples of each class.
        queries: query examples of each class.
        seed: of the tasks; the classes of a split are the same for every seed.
        shares: split -> share of the classes.

    Raises:
        ExamplesError: a file that cannot be used.
        TasksError: fewer classes than splits, or no task can be so large.
    """
    splits = deal(read_topics(path), shares)
    return ClassTasks({split: tokenised(base, topics) for split, topics in splits.items()}, ways, shots, queries, seed)


def tokenised(base: Base, topics: Mapping[str, Sequence[str]]) -> Held:
    """Topics as token ids, all texts filled up to the longest: items (texts, length) int64.

    Args:
        base: whose tokenizer.
        topics: topic -> its texts.
    """
    counts = torch.tensor([len(texts) for texts in topics.values()])
    return Held(tuple(topics), counts, tokens_of(base.chat, [text for texts in topics.values() for text in texts]))
