"""Tokenizers of a byte a token with the marks and the chat templates of well-known bases."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from headstart.lm.chat import Chat

GEMMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n'"
    " + m.content | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)

LLAMA2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set told, turns = messages[0].content + '\n\n', messages[1:] %}"
    "{% else %}{% set told, turns = '', messages %}{% endif %}{% for m in turns %}{% if m.role == 'user' %}"
    "{{ '[INST] ' + (told if loop.last else '') + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
ZEPHYR = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
_TURN = "'<|im_start|>' + m.role + '\n' + {} + '<|im_end|>\n'"
_THINKING = (
    "{% for m in messages %}{% set answer = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{% if m.role == 'assistant' and loop.last and LAST %}{{ "
    + _TURN.format("'<think>\n\n</think>\n\n' + answer")
    + " }}{% else %}{{ "
    + _TURN.format("answer")
    + " }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}ASKED{% endif %}"
)
QWEN3 = _THINKING.replace("LAST", "true").replace(
    "ASKED", "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
)
"""A thought in front of the last answer alone; by its own setting none where it asks."""
QWEN3_UNASKED = _THINKING.replace("LAST", "true").replace("ASKED", "")
"""The same without the setting."""
QWEN3_THINKING = _THINKING.replace("LAST", "true").replace("ASKED", "{{ '<think>\n' }}")
"""It asks in the midst of a thought."""
QWQ = _THINKING.replace("LAST", "false").replace("ASKED", "{{ '<think>\n' }}")
"""The same, and no thought stays."""
HARMONY = (
    "{% for m in messages %}{{ '<|start|>' + m.role }}{% if m.role == 'assistant' %}{{ '<|channel|>final' }}{% endif %}"
    "{{ '<|message|>' + m.content + ('<|return|>' if m.role == 'assistant' and loop.last else '<|end|>') }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
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


def phi3(template: str = PHI3) -> Chat:
    """Its <|end|> has no name and swallows the line break behind it, and <|endoftext|> stands behind a whole conversation."""
    marks = {"<s>": False, "<|endoftext|>": False, "<|assistant|>": True, "<|user|>": True, "<|end|>": True}
    return Chat(with_marks(marks, template, bos_token="<s>", eos_token="<|endoftext|>"), 512)


def llama2(template: str = LLAMA2) -> Chat:
    """Its answers stand between spaces."""
    return Chat(with_marks(dict.fromkeys(["<s>", "</s>"], False), template, bos_token="<s>", eos_token="</s>"), 512)


def mistral() -> Chat:
    """A space before its answers, and what the system says in the last question."""
    return llama2(MISTRAL)


def thinking(template: str) -> Chat:
    """ChatML with thoughts, which are no marks."""
    marks = dict.fromkeys(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], False)
    return Chat(with_marks(marks, template, eos_token="<|im_end|>", pad_token="<|endoftext|>"), 512)


def harmony() -> Chat:
    """Its answers are told in a channel, and its last one ends in another way than those before."""
    marks = dict.fromkeys(["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"], False)
    return Chat(with_marks(marks, HARMONY, eos_token="<|return|>"), 512)


def plain_with_beginning() -> Chat:
    """No template, and a tokenizer that begins every text with a mark."""
    tokenizer = with_marks(dict.fromkeys(["<s>", "</s>"], False), None, bos_token="<s>", eos_token="</s>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return Chat(tokenizer, 512)


def spaced(template: str | None, legacy: bool = False, swallowing: tuple[str, ...] = ()) -> Chat:
    """A tokenizer that puts a space in front of every text, or in the old way of every text between marks."""
    bytes_, letters = [f"<0x{i:02X}>" for i in range(256)], sorted({chr(i) for i in range(33, 127)} | {"▁"})
    pairs = [(a, b) for a in "aqx" for b in "012"]
    merges = [*pairs, *(("▁", a + b) for a, b in pairs), ("▁", "x"), ("▁", "▁")]
    words = ["<unk>", "<s>", "</s>", *bytes_, *letters, *(a + b for a, b in merges)]
    tokenizer = LlamaTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges, legacy=legacy, add_bos_token=True)
    tokenizer.add_tokens([AddedToken(mark, rstrip=True, special=True, normalized=False) for mark in swallowing], special_tokens=True)
    tokenizer.chat_template = template
    return Chat(tokenizer, 512)
