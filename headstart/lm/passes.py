"""One pass over examples: shuffled, and dealt into conversations in which each follows others."""

from __future__ import annotations

import random
from collections.abc import Sequence

from headstart.episode import Example
from headstart.lm.batch import Encoded
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
    dealt = []
    while left:
        taken = 1
        while taken < len(left) and len(chat.chain(left[: taken + 1])) <= budget:
            taken += 1
        dealt.append(chat.chain(left[:taken]))
        left = left[taken:]
    return dealt
