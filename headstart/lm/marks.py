"""The marks of a tokenizer: tokens that stand for no text, which templates write between turns and models end by."""

from __future__ import annotations

import re
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
        tokens = self._read(first)
        for number, behind in zip(held[::2], held[1::2], strict=True):
            tokens += self._read(self._letters[int(number)], as_letters=True) + self._read(behind)
        return tokens

    def _read(self, text: str, as_letters: bool = False) -> tuple[int, ...]:
        # The template writes every mark itself, so the tokenizer must add none.
        return tuple(self._tokenizer(text, add_special_tokens=False, split_special_tokens=as_letters).input_ids)


def _any_of(words: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)))
