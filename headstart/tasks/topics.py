"""Few-shot text classification: texts by topic from JSONL, JSON or CSV, and episodes over what an encoder makes of them.

{"text": …, "label": …}                              a text a row
{"task": …, "examples": [[text, label], …]}          a task a row; its name is not used, the labels are the topics
the four shapes of `headstart.tasks.shapes`          the last prompt is the text, the completion its label
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.errors import ExamplesError, TasksError
from headstart.tasks.episodes import Held
from headstart.tasks.progress import Progress, silent
from headstart.tasks.shapes import KEYS, BadRow, example
from headstart.tasks.texts import each, rows_in

Encoder = Callable[[list[str]], Tensor]
"""Texts -> their features, (texts, ...) float."""

_WANTED = '{"text", "label"} or {"task", "examples": [[text, label], …]}'
_CHUNK = 256
"""Texts encoded at once."""


def read_topics(path: Path) -> dict[str, list[str]]:
    """Topic -> its texts, each once, of a .jsonl, .json or .csv file, packed by gzip (.jsonl.gz) or not.

    Raises:
        ExamplesError: no such file, not text, empty, or bad rows: every one of them, by line.
    """
    topics: dict[str, dict[str, None]] = {}
    for _, pairs in each(str(path), rows_in(path), _pairs):
        for text, label in pairs:
            # A text that comes twice would be in support and query at once.
            topics.setdefault(label, {})[text] = None
    if not topics:
        raise ExamplesError(f"'{path}' is empty; rows of {_WANTED} are needed.")
    return {label: list(texts) for label, texts in topics.items()}


def of_one_topic(topics: Mapping[str, Sequence[str]]) -> tuple[dict[str, tuple[str, ...]], int]:
    """Topics with the texts that are of one alone, and how many are of several: what these are cannot be told, and one may be held out.

    Raises:
        TasksError: no topic has a text of its own.
    """
    count = Counter(text for texts in topics.values() for text in texts)
    clean = {name: tuple(text for text in texts if count[text] == 1) for name, texts in topics.items()}
    doubtful = sum(n > 1 for n in count.values())
    if not any(clean.values()):
        raise TasksError(f"All of the {doubtful} texts are of several labels: a text of one label each is wanted.")
    return {name: texts for name, texts in clean.items() if texts}, doubtful


def encode(topics: Mapping[str, Sequence[str]], encoder: Encoder, progress: Progress = silent) -> Held:
    """Texts as features, each encoded once.

    Raises:
        TasksError: the encoder does not give one row of floats a text.
    """
    texts = [text for some_texts in topics.values() for text in some_texts]
    parts = []
    for at in range(0, len(texts), _CHUNK):
        chunk = texts[at : at + _CHUNK]
        with torch.no_grad():
            features = encoder(chunk)
        if len(features) != len(chunk) or not features.is_floating_point():
            raise TasksError(
                f"The encoder gave {tuple(features.shape)} {features.dtype} for {len(chunk)} texts: a row of floats each is wanted."
            )
        parts.append(features)
        progress("encoding texts", at + len(chunk), len(texts))
    return Held(tuple(topics), torch.tensor([len(some_texts) for some_texts in topics.values()]), torch.cat(parts))


def _pairs(row: Any) -> list[tuple[str, str]]:
    if not isinstance(row, dict):
        raise BadRow(f"{_WANTED} is wanted")
    if isinstance(row.get("examples"), list):
        return [_pair(pair) for pair in row["examples"]]
    if "text" in row or "label" in row:
        lacks = [key for key in ("text", "label") if key not in row]
        if lacks:
            raise BadRow(f'has no "{lacks[0]}"; {_WANTED} is wanted')
        return [_pair([row["text"], row["label"]])]
    if KEYS & row.keys():
        given = example(row)
        return [_pair([given.prompt, given.completion])]
    raise BadRow(f"{_WANTED} is wanted, or an example whose completion is the label")


def _pair(pair: Any) -> tuple[str, str]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadRow("an example is not a pair of text and label")
    text, label = pair
    if not isinstance(text, str) or not text.strip():
        raise BadRow("a text is empty or is no text")
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise BadRow("a label is empty, or is neither text nor a whole number")
    return text.strip(), str(label).strip()
