"""The marks of a tokenizer: tokens that stand for no text, which templates write between turns and models end by."""

from __future__ import annotations

import re
from functools import cache
from typing import final

from transformers import PreTrainedTokenizerBase

HERE = "\ufdd0"
"""Stands for a text that is looked for; no character of any text that was held."""
_OPEN, _SHUT = "\ufdd1", "\ufdd2"
_HELD = re.compile(f"{_OPEN}(\\d+){_SHUT}")


@final
class Marks:
    """Every mark that a tokenizer knows, with a name of its own (end of text, say) or without; a mark's letters in a text are none."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        # Gemma's <end_of_turn> and Phi's <|end|> have no name: they are special among the added tokens alone.
        added = {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
        self.ids = frozenset((added | named).values())
        longest_first = sorted(filter(None, added | named), key=len, reverse=True)
        self._pattern = _any_of(longest_first)
        self._letters = [*longest_first, HERE, _OPEN, _SHUT]
        self._numbers = {letters: f"{_OPEN}{number}{_SHUT}" for number, letters in enumerate(self._letters)}
        self._lettered = _any_of(self._letters)
        swallowing = any(token.rstrip for token in tokenizer.added_tokens_decoder.values())
        self._apart = not swallowing and self._read("\nx") == self._read("\n") + self._read("x")
        """Whether a text has the same tokens behind others as alone: no space is put in front of it, and no mark swallows its first one."""
        # A text may hold the letters of one mark by the thousand.
        self._spelt = cache(lambda number: self._inside(self._letters[number], as_letters=True))

    def first(self, text: str) -> str:
        """Text up to and with the first mark in it; empty: it has none."""
        found = self._pattern.search(text)
        return text[: found.end()] if found else ""

    def held(self, text: str) -> str:
        """Somebody's text, to be laid out by a template, so that no letters of it are taken for marks."""
        return self._lettered.sub(lambda found: self._numbers[found[0]], text)

    def released(self, text: str) -> str:
        """As it was before it was held."""
        return _HELD.sub(lambda found: self._letters[int(found[1])], text)

    def tokens(self, text: str) -> tuple[int, ...]:
        """Text in tokens, marks as marks, and what was held as letters."""
        first, *held = _HELD.split(text)
        tokens = [*self._read(first)]
        for number, behind in zip(held[::2], held[1::2], strict=True):
            tokens += self._spelt(int(number)) + (self._inside(behind) if behind else ())
        return tuple(tokens)

    def spelt(self, text: str) -> tuple[int, ...]:
        """Text in tokens, its marks as letters: as it is read where it is held, but for where the tokens of two pieces meet."""
        return self._read(text, as_letters=True)

    def behind(self, ahead: str, text: str) -> tuple[int, ...]:
        """Text in tokens as it stands behind another; alone where tokens reach over the border, as what is ahead is asked alone too."""
        if self._apart:
            return self.tokens(text)
        *_, last = (0, *(found.start() for found in self._pattern.finditer(ahead)))
        for front in (ahead[last:], "\n"):
            tokens = _rest(self.tokens(front), self.tokens(front + text))
            if tokens is not None:
                return tokens
        return self.tokens(text)

    def _inside(self, text: str, as_letters: bool = False) -> tuple[int, ...]:
        alone = self._read(text, as_letters)
        if self._apart:
            return alone
        tokens = _rest(self._read("\n"), self._read(f"\n{text}", as_letters))
        return alone if tokens is None else tokens

    def _read(self, text: str, as_letters: bool = False) -> tuple[int, ...]:
        # The template writes every mark itself, so the tokenizer must add none.
        return tuple(self._tokenizer(text, add_special_tokens=False, split_special_tokens=as_letters).input_ids)


def _rest(front: tuple[int, ...], whole: tuple[int, ...]) -> tuple[int, ...] | None:
    """What comes behind, if the whole begins with the front: a space that a tokenizer puts before every text is in the front then."""
    return whole[len(front) :] if whole[: len(front)] == front else None


def _any_of(words: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)))
