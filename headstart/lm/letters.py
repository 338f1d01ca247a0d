"""Tokens as text: as a text of their own, or as they stand behind another.

The two differ where a tokenizer puts a space in front of every text, as SentencePiece's do: its decoder takes one from the beginning of
what it is given, whether that is the beginning of a text or the middle of one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import final

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

HALF = "\ufffd"
"""Stands in a text for what is no whole character."""
_NUMBERED = re.compile("<0x([0-9A-F]{2})>")
_BYTES = {letter: byte for byte, letter in bytes_to_unicode().items()}


@final
class Letters:
    """What a tokenizer writes."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        whole = self._tokenizer("a a", add_special_tokens=False).input_ids
        self._ahead = whole[:1]
        self._cut = len(self._alone(self._ahead, True))
        spaced = any(self.text(whole[i:]) != self.text(whole[i:], behind=True) for i in range(1, len(whole)))
        self.blank = " " if spaced else ""
        """What is taken from the beginning of a text that begins with it."""

    def text(self, tokens: Sequence[int], behind: bool = False, marks: bool = False) -> str:
        """Tokens as text.

        Args:
            tokens: which.
            behind: as they stand behind others, and not at the beginning.
            marks: whether the template's are told too.
        """
        return self._alone([*self._ahead, *tokens], marks)[self._cut :] if behind else self._alone(tokens, marks)

    def raw(self, token: int) -> bytes | None:
        """The bytes of a token that is a part of a character, or ends in one; None: nobody knows."""
        text, written = self.text([token], behind=True, marks=True), str(self._tokenizer.convert_ids_to_tokens(token))
        number, letters = _NUMBERED.fullmatch(written), [_BYTES.get(letter) for letter in written]
        # The two ways in which vocabularies write bytes; the right one is what the decoder makes the same text of.
        ways = [bytes([int(number[1], 16)]) if number else b"", bytes(it for it in letters if it is not None)]
        return next((it for it in ways if it.decode(errors="replace") == text), None)

    def _alone(self, tokens: Sequence[int], marks: bool) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=not marks))
