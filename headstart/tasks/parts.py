"""What invented notation is put together from: marks, brackets and words, drawn anew for every template."""

from __future__ import annotations

import random

from headstart.tasks.words import draw_word

# Marks that are one token each, whatever stands beside them but another mark.
MARKS = ("!", "#", "%", "&", "*", "+", "/", ":", "=", "?", "@", "^", "|", "~", "$", ";", "::", "->", "=>", "--")
BRACKETS = (("(", ")"), ("[", "]"), ("{{", "}}"), ("<", ">"), ("|", "|"), ("((", "))"), ("[[", "]]"), ("(", " end)"), ("begin ", " end"))


class Parts(dict[str, str]):
    """What templates are filled with: m a mark, o and c a pair of brackets, w and v words of training."""

    def __init__(self, rng: random.Random) -> None:
        opening, closing = rng.choice(BRACKETS)
        super().__init__(o=opening, c=closing, m=rng.choice(MARKS), w=draw_word(rng, "train"), v=draw_word(rng, "train"))
