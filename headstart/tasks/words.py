"""An open vocabulary: thousands of words and endlessly many made-up ones, each of which belongs to one split.

A model that meets the same keywords task after task learns the keywords; it must learn to read them from the examples.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal

Side = Literal["train", "validation", "test"]

_SIDES: tuple[Side, ...] = ("train",) * 7 + ("validation",) + ("test",) * 2
_HEADS = "b br c ch d dr f fl g gr h j k kl l m n p pl qu r s sh sk st t th tr v w x y z".split()
_HEARTS = "a e i o u ai ea oo ou y".split()
_TAILS = ["", "", *"b ck d ft g l ll m n nd p r rk s sk st t x z".split()]
_RUDE = """anal anus arse bitch boob chink cock coon cunt dick dyke fag fuck fuk gook hitler homo jap jizz kike nazi nig paki penis piss
porn pussy rape rapi retard sex shit slut spic tard tits turd twat vagin wank whor""".split()
"""Letters that no made-up word has in a row, reviewed by hand: insults and what is not said in front of customers."""


def side_of(word: str) -> Side:
    """The split that a word belongs to, by the word alone: seven in ten train, one validates, two test."""
    return _SIDES[hashlib.sha256(word.lower().encode()).digest()[0] % len(_SIDES)]


def side(options: Iterable[str], wanted: Side) -> tuple[str, ...]:
    """Those of some words that belong to a split, in their order."""
    return tuple(option for option in options if side_of(option) == wanted)


def draw_word(rng: random.Random, wanted: Side) -> str:
    """A word of a split, in lower case: an English one, or made up as one in three are."""
    if rng.random() < 1 / 3:
        return invent(rng, wanted)
    word = rng.choice(english(wanted))
    # One of the list's words is the beginning of a longer one. Taken out, it would change every draw behind it.
    return invent(random.Random(word), wanted) if word in _RUDE else word


def invent(rng: random.Random, wanted: Side) -> str:
    """A word of one to three syllables that most likely nobody has used before, and that nobody minds."""
    while True:
        word = "".join(rng.choice(part) for _ in range(rng.choice((1, 2, 2, 3))) for part in (_HEADS, _HEARTS, _TAILS))
        if len(word) > 2 and side_of(word) == wanted:
            # The stand-in has chance of its own, so that what is drawn after it stays as it was.
            return invent(random.Random(word), wanted) if rude(word) else word


def rude(word: str) -> bool:
    """Whether a word has letters in it that nobody should have to read as a keyword."""
    return any(letters in word for letters in _RUDE)


@cache
def english(wanted: Side) -> tuple[str, ...]:
    """The frequent English words of a split, of three to eight letters, most frequent first; behind them rarer ones, for training alone.

    A small model that has to copy a word in capitals or between strange marks must spell it, and learns that word by word.
    """
    return side(_listed("words.txt"), wanted) + (_listed("further.txt") if wanted == "train" else ())


def _listed(name: str) -> tuple[str, ...]:
    return tuple((files(__package__) / name).read_text(encoding="utf-8").split())
