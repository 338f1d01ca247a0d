"""Templates taken apart say what they say whole, or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from headstart.errors import BaseRefused
from headstart.lm.chat import Chat
from headstart.lm.pieces import pieces
from headstart.lm.template import opens_with
from tests.lm.shapes import plain_with_beginning

LOOP = "{% for m in messages %}"
END = "{% endfor %}"
TEMPLATES = {
    "chatml": LOOP + "<s>{{ m.role }}\n{{ m.content }}<e>\n" + END + "{% if add_generation_prompt %}<s>assistant\n{% endif %}",
    "chatml with a system of its own": "{% if messages[0].role != 'system' %}<s>system\nBe brief.<e>\n{% endif %}"
    + LOOP
    + "<s>{{ m.role }}\n{{ m.content }}<e>\n"
    + END
    + "{% if add_generation_prompt %}<s>assistant\n{% endif %}",
    "instructions": LOOP + "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% elif m.role == 'system' %}<<{{ m.content }}>>\n"
    "{% else %} {{ m.content }}<e>{% endif %}" + END,
}


def chat(folder: Path, template: str) -> Chat:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    return Chat(tokenizer, 512)


@pytest.mark.parametrize("name", TEMPLATES)
def test_pieces_say_what_the_template_says(base_folder: Path, name: str) -> None:
    it = chat(base_folder, TEMPLATES[name])
    found = pieces(it)
    for messages in (
        [("user", "a b")],
        [("system", "Be kind."), ("user", "a")],
        [("user", "a"), ("assistant", "b\n"), ("user", "c"), ("assistant", ""), ("user", "d")],
    ):
        assert found.lay(messages) == it.laid(messages)
    assert found.system == ("Be brief." if "own" in name else "")


def test_the_tiny_base_s_own_template_can_be_taken_apart(base_folder: Path) -> None:
    it = Chat(AutoTokenizer.from_pretrained(base_folder), 512)
    asked = [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert pieces(it).lay(asked) == it.laid(asked).removeprefix(opens_with(it.tokenizer))


def test_the_mark_that_other_tools_begin_with_themselves_is_none_of_the_pieces() -> None:
    it = plain_with_beginning()
    assert opens_with(it.tokenizer) == "<s>"
    assert it.prompt([("user", "a")]) == it.plain("a\n")
    assert pieces(it).lay([("user", "a")]) == "a\n"


def test_a_template_that_looks_at_neighbours_is_refused(base_folder: Path) -> None:
    counted = LOOP + "<{{ loop.index }}>{{ m.content }}</{{ loop.index }}>" + END
    with pytest.raises(BaseRefused, match="according to its neighbours"):
        pieces(chat(base_folder, counted))
