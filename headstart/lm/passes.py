"""One pass over examples: shuffled, and dealt into conversations in which each follows others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from headstart.episode import Example
from headstart.lm.batch import Encoded
from headstart.lm.behind import largest
from headstart.lm.chat import Chat


def deal(chat: Chat, examples: Sequence[Example], budget: int, rng: random.Random) -> list[Encoded]:
    """Every example once, in random order, in as few conversations as `budget` tokens each allow.

    Every answer is to be predicted, from none to all of the others standing before it. This format of the inner loop's data
    is worth more than its initialisation, and a conversation shares the template's overhead among its examples.

    Args:
        chat: lays the conversations out.
        examples: at least one.
        budget: tokens a conversation may hold; a longer example stands alone.
        rng: of the order.

    Source: Akyürek et al. 2025, test-time training for few-shot learning, the permuted in-context sequences of section 3.
    """
    left = list(examples)
    rng.shuffle(left)
    dealt: list[Encoded] = []
    taken = 1
    while left:
        # As many as went into the one before are likely to go in.
        taken, chain = _longest(chat, left, budget, taken)
        dealt.append(chain)
        left = left[taken:]
    return dealt


def _longest(chat: Chat, examples: Sequence[Example], budget: int, guess: int) -> tuple[int, Encoded]:
    """How many examples from the first on a conversation holds, one at least, and that conversation."""
    laid = cache(lambda count: chat.chain(examples[:count]))
    taken = max(1, largest(len(examples), lambda count: len(laid(count)) <= budget, min(guess, len(examples))))
    return taken, laid(taken)
