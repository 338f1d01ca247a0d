"""Layouts of well-known bases: what is taught is what they write themselves, and what they are asked behind."""

from __future__ import annotations

import pytest

from headstart.episode import Example
from headstart.lm.chat import Chat
from tests.lm.shapes import gemma, phi3

ASKED = [Example.pair("q0", "a0"), Example.pair("q1", "a1"), Example.pair("q2", "a2")]


def ids(chat: Chat, *tokens: str) -> tuple[int, ...]:
    return tuple(chat.tokenizer.convert_tokens_to_ids(list(tokens)))


def learnt(chat: Chat, examples: list[Example]) -> str:
    encoded = chat.chain(examples)
    return str(chat.tokenizer.decode([encoded.tokens[i] for i in encoded.targets]))


@pytest.mark.parametrize(("chat", "end", "last"), [(gemma(), "<end_of_turn>", "<eos>"), (phi3(), "<|end|>", "<|endoftext|>")])
def test_an_end_mark_without_a_name_ends_an_answer(chat: Chat, end: str, last: str) -> None:
    assert chat.stops == ids(chat, last, end)
    assert chat.lay(ASKED[0]).completion[-1] == ids(chat, end)[0]
    assert chat.text(chat.lay(ASKED[0]).completion) == "a0"


def test_the_model_s_own_settings_name_stops_and_no_ordinary_token_is_one() -> None:
    pad, letter = ids(gemma(), "<pad>", "a")
    chat = gemma(ends=(pad, letter))
    assert chat.stops == ids(chat, "<eos>", "<end_of_turn>", "<pad>")
    assert chat.own().stops == chat.stops
    assert chat.own().tokenizer is not chat.tokenizer
