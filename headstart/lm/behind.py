"""A question behind worked examples: as many as the context holds, whoever asks it and whatever is asked beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from headstart.episode import Example
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat

LEAST = 64
"""Tokens of answer for which examples make way when the context is short; more where the right answer is known, and has more."""


def behind(chat: Chat, before: Sequence[Example], asked: Example, most: int = LEAST) -> tuple[Encoded, int]:
    """An example in tokens behind as many others as leave room for its answer, and how many those are; its own answer is to be predicted.

    Args:
        chat: lays it out.
        before: the first of them are taken.
        asked: its answer may be empty.
        most: tokens that an answer may have, where nobody knows the right one.
    """
    room = min(most, LEAST)
    laid = cache(lambda count: chat.lay(asked, before[:count]))
    shown = largest(
        len(before), lambda count: len(laid(count).prompt) + max(room, len(laid(count).completion)) <= chat.context, len(before)
    )
    return laid(shown), shown


def largest(count: int, fits: Callable[[int], bool], guess: int) -> int:
    """The largest number up to `count` that fits, where smaller ones do too and nought needs no trying.

    Looked for from a guess, in strides that double, and then by halving: a good guess is tried once or twice.
    """
    low, high, stride, at = 0, count + 1, 1, guess
    while high - low > 1:
        if fits(at):
            low, at = at, at + stride
        else:
            high, at = at, at - stride
        stride *= 2
        if not low < at < high:
            at = (low + high) // 2
    return low
