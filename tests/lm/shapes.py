"""Tokenizers of a byte a token with the marks and the chat templates of well-known bases."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from headstart.lm.chat import Chat

GEMMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n'"
    " + m.content | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)


def with_marks(marks: dict[str, bool], template: str | None, **named: str) -> PreTrainedTokenizerFast:
    """A byte a token, and marks: each with whether it swallows the blank space behind it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate([*marks, *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, rstrip=swallows, normalized=False) for mark, swallows in marks.items()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template, **named)


def gemma(**other: tuple[int, ...]) -> Chat:
    """Its <end_of_turn> has no name, and a conversation never has its <eos>."""
    marks = dict.fromkeys(["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"], False)
    return Chat(with_marks(marks, GEMMA, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"), 512, **other)


def phi3() -> Chat:
    """Its <|end|> has no name and swallows the line break behind it, and <|endoftext|> stands behind a whole conversation."""
    marks = {"<s>": False, "<|endoftext|>": False, "<|assistant|>": True, "<|user|>": True, "<|end|>": True}
    return Chat(with_marks(marks, PHI3, bos_token="<s>", eos_token="<|endoftext|>"), 512)
