"""Examples as tokens, by the model's own chat template; the loss falls on the completion alone."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from transformers import PreTrainedTokenizerBase

from headstart.episode import Example
from headstart.errors import BaseRefused, ExamplesError
from headstart.lm.batch import Encoded
from headstart.lm.letters import Letters
from headstart.lm.marks import Marks
from headstart.lm.template import Template


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
        self._marks, self.letters = Marks(tokenizer), Letters(tokenizer)
        self._template = Template(tokenizer, self._marks)
        # Where a model's settings name nothing, transformers fills in a number that may be any token's.
        named = [token for token in self.ends if token in self._marks.ids]
        self._stops = tuple(dict.fromkeys([tokenizer.eos_token_id, *self._marks.tokens(self._template.ending)[-1:], *named]))

    @property
    def tokenizer_hash(self) -> str:
        """SHA-256 of the tokenizer's whole vocabulary and rules."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        text = backend.to_str() if backend is not None else repr(sorted(self.tokenizer.get_vocab().items()))
        return _sha(text)

    @property
    def template_hash(self) -> str:
        """SHA-256 of the chat template's text, and of the mark in front of it."""
        return _sha(self._template.begins + self._template.text)

    @property
    def stops(self) -> tuple[int, ...]:
        """Tokens that end an answer: the end of text, what the template puts behind an answer, and what the model's settings name."""
        return self._stops

    def own(self) -> Chat:
        """The same with a tokenizer of its own, as one is not made for several threads."""
        return Chat(copy.deepcopy(self.tokenizer), self.context, self.ends)

    def prompt(self, messages: Sequence[tuple[str, str]], before: Sequence[Example] = ()) -> tuple[int, ...]:
        """Messages in tokens, behind worked examples, up to where the assistant is to speak."""
        return self._worked([*before, Example((*messages, ("assistant", "")))]).tokens

    def laid(self, messages: Sequence[tuple[str, str]]) -> str:
        """The same as text, without worked examples."""
        return self._marks.released(self._template.asked(self._held(messages)))

    def plain(self, text: str) -> tuple[int, ...]:
        """Text in tokens, as the tokenizer itself begins a text, and no template around it."""
        return tuple(self.tokenizer(text).input_ids)

    def spelt(self, text: str) -> tuple[int, ...]:
        """What somebody says in tokens, marks in it as letters, and no template around it."""
        return self._marks.spelt(text)

    def chain(self, examples: Sequence[Example]) -> Encoded:
        """Examples worked one after the other as one conversation; every answer is to be predicted, behind what it is asked behind.

        A template that leaves earlier answers out when a later turn comes gives a conversation in which only the last answer is to be
        predicted. Templates have room for one system message, at the front: where examples have different ones, each is told at the
        head of its own question.
        """
        worked = self._worked(examples)
        answer = self._template.answer(worked.turns, worked.asked)
        return Encoded(worked.tokens, self._answer_tokens(worked.asked, answer), worked.learnt)

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

    def _worked(self, examples: Sequence[Example]) -> _Worked:
        """Examples up to where the last one's answer is to come."""
        worked = _Worked()
        for example in under_one(examples):
            at, done = len(worked.turns) - 1, self._work(worked) if worked.turns else ""
            worked.turns += self._held(example.messages[:-1])
            worked.asked = self._template.asked(worked.turns)
            further = self._template.further(worked.turns, at, done, worked.asked) if done else None
            if further is None:
                worked.tokens, worked.learnt = self._first_tokens(worked.asked), ()
            else:
                worked.tokens += self._marks.behind(done if self._template.ending else done + self.tokenizer.eos_token, further)
            worked.turns += self._held(example.messages[-1:])
        return worked

    def _work(self, worked: _Worked) -> str:
        """Take the answer that is to come into a conversation; as text, all up to its end."""
        answer = self._template.answer(worked.turns, worked.asked)
        worked.learn(self._answer_tokens(worked.asked, answer))
        return worked.asked + answer

    def _first_tokens(self, asked: str) -> tuple[int, ...]:
        # Not as a part of the text, before which a tokenizer may put a space that it puts behind no mark.
        begins = (self.tokenizer.bos_token_id,) if self._template.begins else ()
        return begins + self._marks.tokens(asked)

    def _held(self, messages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(role, self._marks.held(content)) for role, content in messages]

    def _answer_tokens(self, asked: str, answer: str) -> tuple[int, ...]:
        # Where the template puts no mark behind an answer, the end of text is one.
        return self._marks.behind(asked, answer) + (() if self._template.ending else (self.tokenizer.eos_token_id,))


@dataclass
class _Worked:
    """A conversation up to where an answer is to come."""

    turns: list[tuple[str, str]] = field(default_factory=list)
    """With that answer."""
    asked: str = ""
    """Without it, as the template writes it by now."""
    tokens: tuple[int, ...] = ()
    learnt: tuple[int, ...] = ()
    """Places of the answers worked before."""

    def learn(self, answer: tuple[int, ...]) -> None:
        """Take an answer in, in tokens."""
        self.learnt += tuple(range(len(self.tokens), len(self.tokens) + len(answer)))
        self.tokens += answer


def under_one(examples: Sequence[Example]) -> list[Example]:
    """Examples as they stand in front of each other: the system message that is all of theirs is the first's, or each its question's."""
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
