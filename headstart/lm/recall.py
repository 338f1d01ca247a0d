"""Guesses at what comes next: what came before behind the same tokens.

An answer repeats much of its examples and of its question, and a pass reads some tokens more in hardly more time than one. So a row reads
guesses along with its last token, and keeps those that are what is chosen anyway: its answer is the same, in fewer passes.

Source: Leviathan et al. 2023, speculative decoding, section 2.1; Saxena 2023, prompt lookup decoding, for guesses out of the prompt;
Oliaro et al. 2024, SuffixDecoding, for as many of them as a multiple of the tokens that match.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import final

from headstart.terms import GUESSES

_TIMES = 2
"""Guesses for each token that matches: of one to four, and of one to three tokens that have to match, what was best on right answers of
validation tasks, by what passes cost, and cost next to nothing where nothing repeats."""
_LATEST = 16
"""Places behind a pair of tokens that are looked at, the latest."""


@final
class Recall:
    """One row's tokens, and where each pair of them stood.

    Args:
        tokens: of its prompt.
    """

    def __init__(self, tokens: Iterable[int]) -> None:
        self._tokens: list[int] = []
        self._behind: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """The row has grown by a token."""
        if len(self._tokens) > 1:
            self._behind[self._tokens[-2], self._tokens[-1]].append(len(self._tokens))
        self._tokens.append(token)

    def guess(self, most: int = GUESSES) -> tuple[int, ...]:
        """What came behind the longest end that came before, of two tokens at least; of equals the latest.

        Args:
            most: tokens wanted at most.
        """
        if len(self._tokens) < 2 or most < 1:
            return ()
        places = self._behind.get((self._tokens[-2], self._tokens[-1]), [])[-_LATEST:]
        length, place = max(((self._matching(at), at) for at in places), default=(0, 0))
        return tuple(self._tokens[place : place + min(most, _TIMES * length)])

    def _matching(self, at: int) -> int:
        """How many of the last tokens are those before a place, two at least."""
        count = 2
        while count < min(GUESSES, at) and self._tokens[at - count - 1] == self._tokens[-count - 1]:
            count += 1
        return count
