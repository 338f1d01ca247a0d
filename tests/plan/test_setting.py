import random

import pytest
from transformers import AutoConfig

from headstart.episode import Example
from headstart.errors import BaseRefused
from headstart.lm import tiny
from headstart.lm.chat import Chat
from headstart.lm.passes import deal
from headstart.lm.tiny import tiny_tokenizer
from headstart.plan.moments import conversations
from headstart.plan.setting import Setting, adapter_numbers, sites, usual
from headstart.plan.shape import FAMILIES, shape_of
from headstart.plan.source import model
from headstart.terms import PIECE

LLAMA = model("meta-llama/Llama-2-7b-hf").shape


@pytest.mark.parametrize("count", [1, 5, 10, 23])
def test_examples_are_dealt_into_conversations_as_teaching_does_it(count: int) -> None:
    chat = Chat(tiny_tokenizer(), 2048)
    examples = [Example((("user", "x" * 80), ("assistant", "y" * 20))) for _ in range(count)]
    length = len(chat.lay(examples[0]))
    dealt = sorted(len(it) for it in deal(chat, examples, PIECE, random.Random(0)))
    assert sorted(conversations(LLAMA, Setting(length=length), count)) == dealt


def test_an_adapter_of_a_seven_billion_model_has_as_many_numbers_as_peft_counts() -> None:
    assert adapter_numbers(LLAMA, Setting()) == 4_194_304
    assert adapter_numbers(LLAMA, Setting(target=("all-linear",))) == 19_988_480


def test_a_target_or_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(BaseRefused, match=r"named 'q_prj'.*Nearest: q_proj"):
        sites(LLAMA, Setting(target=("q_prj",)))
    with pytest.raises(BaseRefused, match="layers 0 to 31"):
        sites(LLAMA, Setting(lowest=32))


FUSED = {"phi3": ("qkv_proj",), "gpt_neox": ("query_key_value",), "gpt2": ("c_attn",)}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_makes_queries_and_values_is_bent_where_nobody_names_a_target(family: str) -> None:
    config = tiny.FAMILIES["llama" if family == "gemma" else family] | {"model_type": family}
    shape = shape_of(AutoConfig.for_model(**config).to_dict(), family)
    assert usual(shape) == FUSED.get(family, ("q_proj", "v_proj"))
    assert len(sites(shape, Setting(target=usual(shape)))) == len(usual(shape))
