"""What an answer's letters are, on a base whose tokenizer puts a space in front of every text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from headstart.adapters.store import Shelf
from headstart.lm.chat import Chat
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.serve.answers import Form, Written
from headstart.serve.door import Entered
from headstart.serve.relay import Relay
from headstart.serve.request import Ask, Ended, Likely, Piece, Prompt
from headstart.serve.row import Row
from tests.lm.shapes import LLAMA2, llama2, spaced
from tests.serve.asking import answer

TEXT: Prompt = "return"
TALK: Prompt = (("user", "return"),)


def row(chat: Chat, prompt: Prompt, most: int, logprobs: int = 0) -> Row:
    ask = Ask(None, prompt, Sampling(most), logprobs)
    return Row(Entered(ask, chat.plain("return"), most, None, time.monotonic() + 60), chat)


def told(chat: Chat, prompt: Prompt, words: list[str], logprobs: int = 0) -> list[Piece]:
    """What a row tells that takes these tokens."""
    it = row(chat, prompt, len(words), logprobs)
    for token in chat.tokenizer.convert_tokens_to_ids(words):
        it.take(torch.zeros(len(chat.tokenizer)).index_fill(0, torch.tensor(token), 9.0))
    it.end()
    pieces = []
    while isinstance(piece := it.stream.next(1), Piece):
        pieces.append(piece)
    return pieces


@pytest.mark.parametrize(("prompt", "text"), [(TEXT, " x x"), (TALK, "x x")])
def test_what_goes_on_with_a_text_keeps_its_first_space_and_what_begins_an_answer_does_not(prompt: Prompt, text: str) -> None:
    assert "".join(it.text for it in told(spaced(LLAMA2), prompt, ["▁x", "▁x"])) == text


@pytest.mark.parametrize(("prompt", "first"), [(TEXT, " x"), (TALK, "x")])
def test_tokens_add_up_to_the_text_and_tell_their_true_bytes(prompt: Prompt, first: str) -> None:
    pieces = told(spaced(LLAMA2), prompt, ["▁x", "▁x", "<0xC3>", "<0xA9>", "a"], 1)
    taken = [it.taken for it in pieces if it.taken]
    assert [it.bytes for it in taken] == [first.encode(), b" x", b"\xc3", b"\xa9", b"a"]
    assert b"".join(it.bytes or b"" for it in taken).decode() == "".join(it.text for it in pieces) == f"{first} xéa"
    written = Written(Form(False, "m", top=1))
    for it in pieces:
        written.add(it)
    at = len(first)
    assert json.loads(written.choice(0, None))["logprobs"]["text_offset"] == [0, at, at + 2, at + 3, at + 3]


def test_parts_of_a_character_are_told_in_every_vocabulary_and_none_is_made_up() -> None:
    chat = llama2()
    assert [chat.letters.raw(it) for it in chat.tokenizer("é").input_ids] == [b"\xc3", b"\xa9"]
    told = Form(True, "m", top=1).logprobs(Piece("", Likely("\ufffd", -1.0), (Likely("\ufffd", -1.0),)), 0)
    assert told is not None
    assert [told["content"][0]["bytes"], told["content"][0]["top_logprobs"][0]["bytes"]] == [None, None]


def test_of_tokens_of_one_text_the_likeliest_is_told() -> None:
    it = Piece("a", Likely("a", -0.5), (Likely("\ufffd", -1.0), Likely("b", -2.0), Likely("\ufffd", -3.0)))
    told = Form(False, "m", top=3).logprobs(it, 0)
    assert told is not None
    assert list(told["top_logprobs"][0].items()) == [("\ufffd", -1.0), ("b", -2.0)]


class Saying:
    """Another engine, which hands on what its model says."""

    mixes = True

    def wears(self, content: object) -> bool:
        return True

    def names(self) -> dict[str, int]:
        return {}

    def tidy(self, at_work: object) -> None:
        pass

    def stop(self) -> None:
        pass

    def answer(self, entered: Entered) -> Iterator[Piece | Ended]:
        yield from (Piece(""), Piece(" x"), Piece(" x"), Ended("stop", 1, 2))


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("prompt", [TEXT, TALK])
def test_another_engine_s_answer_begins_as_our_own(own: Base, shelf: Shelf, prompt: Prompt, spaces: bool) -> None:
    base = replace(own, chat=spaced(LLAMA2)) if spaces else own
    relay = Relay(base, shelf, Saying())  # type: ignore[arg-type]
    text = answer(relay.submit(Ask(None, prompt, Sampling(4))))[0]
    relay.stop(0)
    assert text == ("x x" if spaces and prompt is TALK else " x x")
