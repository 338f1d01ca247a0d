"""Examples as tokens, by the model's own chat template; the loss falls on the completion alone."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import final

import jinja2
from transformers import PreTrainedTokenizerBase

from headstart.episode import Example
from headstart.errors import BaseRefused, ExamplesError
from headstart.lm.batch import Encoded
from headstart.lm.marks import Marks

_PLAIN = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
"""For bases without a template: prompt, line break, completion."""


@final
class Chat:
    """How a tokenizer's template lays out a conversation.

    Args:
        tokenizer: with or without a chat template; without one, plain lines are used.
        context: the most tokens the model can hold.
        ends: tokens that the model's own settings end an answer by; those that are no marks are passed over.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context: int, ends: Sequence[int] = ()) -> None:
        if tokenizer.eos_token_id is None:
            raise BaseRefused("The tokenizer names no end-of-text token, so the model could never stop.")
        self.tokenizer, self.context, self.ends = tokenizer, context, tuple(ends)
        self._marks = Marks(tokenizer)
        self.template: str = tokenizer.chat_template or _PLAIN
        self._ending, self._ending_text = self._find_ending()

    @property
    def tokenizer_hash(self) -> str:
        """SHA-256 of the tokenizer's whole vocabulary and rules."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        text = backend.to_str() if backend is not None else repr(sorted(self.tokenizer.get_vocab().items()))
        return _sha(text)

    @property
    def template_hash(self) -> str:
        """SHA-256 of the chat template's text."""
        return _sha(self.template)

    @property
    def stops(self) -> tuple[int, ...]:
        """Tokens that end an answer: the end of text, what the template puts behind an answer, and what the model's settings name."""
        # Where those name nothing, transformers fills in a number that may be any token's.
        named = [token for token in self.ends if token in self._marks.tokens]
        return tuple(dict.fromkeys([self.tokenizer.eos_token_id, self._ending[-1], *named]))

    def own(self) -> Chat:
        """The same with a tokenizer of its own, as one is not made for several threads."""
        return Chat(copy.deepcopy(self.tokenizer), self.context, self.ends)

    def prompt(self, messages: Sequence[tuple[str, str]], before: Sequence[Example] = ()) -> tuple[int, ...]:
        """Messages in tokens, behind worked examples, up to where the assistant is to speak."""
        return self.lay(Example((*messages, ("assistant", ""))), before).prompt

    def laid(self, messages: Sequence[tuple[str, str]]) -> str:
        """The same as text, without worked examples."""
        return self._render(messages, answer_next=True)

    def plain(self, text: str) -> tuple[int, ...]:
        """Text in tokens, as the tokenizer itself begins a text, and no template around it."""
        return tuple(self.tokenizer(text).input_ids)

    def chain(self, examples: Sequence[Example]) -> Encoded:
        """Examples worked one after the other as one conversation; every answer is to be predicted.

        A template that rewrites earlier turns when a later one comes (thinking that is taken out, say) gives a conversation in
        which only the last answer is to be predicted. Templates have room for one system message, at the front: where examples
        have different ones, each is told at the head of its own question.
        """
        turns: list[tuple[str, str]] = []
        done, tokens, learnt = "", (), ()  # type: str, tuple[int, ...], tuple[int, ...]
        for i, example in enumerate(_under_one(examples)):
            turns += example.messages[:-1]
            text = self._render(turns, answer_next=True)
            if text.startswith(done):
                tokens += self._tokens(text[len(done) :])
            else:
                tokens, learnt = self._tokens(text), ()
            answer = self._tokens(example.completion) + self._ending
            if i + 1 == len(examples):
                return Encoded(tokens, answer, learnt)
            learnt += tuple(range(len(tokens), len(tokens) + len(answer)))
            tokens += answer
            done = text + example.completion + self._ending_text
            turns.append(example.messages[-1])
        raise ValueError("a chain needs at least one example")

    def lay(self, example: Example, before: Sequence[Example] = ()) -> Encoded:
        """An example in tokens, with others worked before it as earlier turns; its own answer alone is to be predicted."""
        return replace(self.chain([*before, example]), earlier=())

    def example(self, example: Example) -> Encoded:
        """An example in tokens.

        Raises:
            ExamplesError: it does not fit the model's context.
        """
        encoded = self.lay(example)
        if len(encoded) > self.context:
            raise ExamplesError(
                f"An example of {len(encoded)} tokens does not fit the model's context of {self.context}: "
                f"shorten it (it begins {example.prompt[:40]!r})."
            )
        return encoded

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without the marks of the template."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _render(self, messages: Sequence[tuple[str, str]], answer_next: bool) -> str:
        turns = [{"role": role, "content": content} for role, content in messages]
        try:
            return str(
                self.tokenizer.apply_chat_template(turns, chat_template=self.template, add_generation_prompt=answer_next, tokenize=False)
            )
        except jinja2.TemplateError as error:
            raise ExamplesError(
                f"The model's chat template refuses a conversation of {', '.join(role for role, _ in messages)}: {error}"
            ) from error

    def _tokens(self, text: str) -> tuple[int, ...]:
        # The template writes every mark itself, so the tokenizer must add none.
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _find_ending(self) -> tuple[tuple[int, ...], str]:
        """What the template puts behind an answer, up to and with the first mark, in tokens and text; else end-of-text."""
        whole = self._render([("user", "a"), ("assistant", "\x00")], answer_next=False)
        text = self._marks.first(whole.rpartition("\x00")[2])
        return (self._tokens(text), text) if text else ((self.tokenizer.eos_token_id,), "")


def _under_one(examples: Sequence[Example]) -> list[Example]:
    """Examples with the system message that is all of theirs in front of the first, or each with its own in its question."""
    told = {e.messages[0] for e in examples if e.messages[0][0] == "system"}
    if not told:
        return list(examples)
    if len(told) > 1:
        return [_telling(e) for e in examples]
    first, *others = (e if e.messages[0][0] != "system" else Example(e.messages[1:]) for e in examples)
    return [Example((*told, *first.messages)), *others]


def _telling(example: Example) -> Example:
    (role, told), *turns = example.messages
    if role != "system":
        return example
    if turns[0][0] != "user":
        return Example((("user", told), *turns))
    return Example((("user", f"{told}\n\n{turns[0][1]}"), *turns[1:]))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
