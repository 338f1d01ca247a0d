"""What invented notation is put together from: marks, brackets and words, drawn anew for every template."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from headstart.tasks.words import draw_word

T = TypeVar("T")

# Marks that are one token each, whatever stands beside them but another mark.
MARKS = ("!", "#", "%", "&", "*", "+", "/", ":", "=", "?", "@", "^", "|", "~", "$", ";", "::", "->", "=>", "--")
BRACKETS = (("(", ")"), ("[", "]"), ("{{", "}}"), ("<", ">"), ("|", "|"), ("((", "))"), ("[[", "]]"), ("(", " end)"), ("begin ", " end"))


class Parts(dict[str, str]):
    """What templates are filled with: m a mark, o and c a pair of brackets, w and v words of training."""

    def __init__(self, rng: random.Random, marks: Sequence[str] = MARKS) -> None:
        opening, closing = rng.choice(BRACKETS)
        super().__init__(o=opening, c=closing, m=rng.choice(marks), w=draw_word(rng, "train"), v=draw_word(rng, "train"))


def unlike(kept: Collection[T], draw: Callable[[], T]) -> T:
    """The first that is drawn and not kept for others."""
    while (drawn := draw()) in kept:
        pass
    return drawn
