"""A chat template as text: what stands before an answer, the answer as it writes one, and how it goes on behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import jinja2
from transformers import PreTrainedTokenizerBase

from headstart.episode import as_chat
from headstart.errors import ExamplesError
from headstart.lm.marks import HERE, Marks

Turns = Sequence[tuple[str, str]]
"""(role, content), the contents held; see `Marks`."""

_PLAIN = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
"""For bases without a template: prompt, line break, completion."""


@final
class Template:
    """A tokenizer's template, or plain lines where it has none.

    Answers come at once: where a template thinks before it answers, the thought is empty, as what was taught has none.

    Args:
        tokenizer: whose template.
        marks: its marks.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, marks: Marks) -> None:
        self.text: str = tokenizer.chat_template or _PLAIN
        self.begins = "" if tokenizer.chat_template else opens_with(tokenizer)
        """The mark in front of all, where the template writes none itself."""
        self._tokenizer, self._marks = tokenizer, marks
        before, _, self._behind = self._render([("user", "a"), ("assistant", HERE)], answer_next=False).rpartition(HERE)
        self.ending = marks.first(self._behind)
        """What stands behind an answer, up to and with the first mark; empty: no mark does."""
        self._opening, self._lead = _between(self._render([("user", "a")], answer_next=True), before)
        self._word_for_word = self._answers_word_for_word()

    def asked(self, turns: Turns) -> str:
        """A conversation up to where the assistant is to speak."""
        return self._render(turns, answer_next=True) + self._opening

    def answer(self, turns: Turns, asked: str) -> str:
        """The last turn as it stands behind its question, with its end mark; some templates put a space before it, or strip it.

        Args:
            turns: the conversation.
            asked: what `asked` says of the turns before.
        """
        plain = self._lead + turns[-1][1] + self.ending
        if self._word_for_word:
            return plain
        whole = self._render(turns, answer_next=False)
        if not whole.startswith(asked):
            return plain
        answer = whole[len(asked) :]
        return (self._marks.first(answer) or plain) if self.ending else answer.removesuffix(self._behind)

    def further(self, turns: Turns, at: int, done: str, asked: str) -> str | None:
        """What comes behind an answer, up to where the assistant is to speak again; None: the template leaves that answer out by now.

        Where the template writes what was before in another way by now (thoughts are taken out, say), it stays as it was asked.

        Args:
            turns: the conversation.
            at: the answer's place in it.
            done: what `asked` and `answer` said up to it.
            asked: what `asked` says now.
        """
        if asked.startswith(done):
            return asked[len(done) :]
        marked = [*turns[:at], ("assistant", HERE), *turns[at + 1 :]]
        _, found, behind = self.asked(marked).rpartition(HERE)
        end = self.ending if behind.startswith(self.ending) else self._marks.first(behind)
        return behind.removeprefix(end) if found else None

    def _answers_word_for_word(self) -> bool:
        """Whether an answer stands behind its question as it is, which saves writing each out to see; blank space shows it."""
        turns = [("user", "a"), ("assistant", f" \n{HERE}\n ")]
        asked, whole = self.asked(turns[:1]), self._render(turns, answer_next=False)
        return whole.startswith(asked + self._lead + turns[1][1] + self.ending) or not whole.startswith(asked)

    def _render(self, turns: Turns, answer_next: bool) -> str:
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    as_chat(turns),
                    chat_template=self.text,
                    add_generation_prompt=answer_next,
                    tokenize=False,
                    enable_thinking=False,
                )
            )
        except jinja2.TemplateError as error:
            raise ExamplesError(
                f"The model's chat template refuses a conversation of {', '.join(role for role, _ in turns)}: {error}"
            ) from error


def opens_with(tokenizer: PreTrainedTokenizerBase) -> str:
    """The mark that a tokenizer itself puts in front of every text, as other tools then do too; empty: none."""
    first = tokenizer("a").input_ids[0]
    return str(tokenizer.bos_token) if first == tokenizer.bos_token_id else ""


def _between(asked: str, before: str) -> tuple[str, str]:
    """What has to stand between a question as the template asks it and an answer: behind the question, and at the head of the answer.

    Args:
        asked: a question, up to where the assistant is to speak.
        before: the same, up to where its answer stands.
    """
    if before.startswith(asked):
        # Words that it writes into every answer are given; a blank alone is the answer's, as tokens begin with it.
        lead = before[len(asked) :]
        return (lead, "") if lead.strip() else ("", lead)
    if asked.rstrip().endswith("<think>"):
        return ("" if asked.endswith("\n") else "\n") + "\n</think>\n\n", ""
    return "", ""
