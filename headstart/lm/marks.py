"""The marks of a tokenizer: tokens that stand for no text, which templates write between turns and models end by."""

from __future__ import annotations

import re
from typing import final

from transformers import PreTrainedTokenizerBase


@final
class Marks:
    """Every mark that a tokenizer knows, with a name of its own (end of text, say) or without."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        # Gemma's <end_of_turn> and Phi's <|end|> have no name: they are special among the added tokens alone.
        added = {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
        found = added | named
        self.tokens = frozenset(found.values())
        longest_first = sorted(filter(None, found), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def first(self, text: str) -> str:
        """Text up to and with the first mark in it; empty: it has none."""
        found = self._pattern.search(text)
        return text[: found.end()] if found else ""
