"""Lessons as episodes for a language model: each example alone, or all of a task in one conversation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, final

from headstart.episode import Drawn, Example
from headstart.errors import TasksError
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.talk import Talk
from headstart.tasks.family import Family, Lesson, Split

Rows = tuple[Encoded, ...]
"""Conversations, or examples alone, in tokens."""
Form = Literal["chain", "pairs"]
"""chain: the examples in front of each other. pairs: each alone."""


@final
@dataclass(frozen=True)
class Lessons:
    """A family as a source of tasks; of a support that is too long for the model's context the end is left out."""

    family: Family
    chat: Chat
    shots: int = 10
    """Support examples."""
    queries: int = 4
    """Further examples."""
    form: Form = "chain"
    whole: bool = False
    """For training: a chain's query is one conversation of all examples, every answer of which is to be predicted, from none to all of the
    others before it. Else each query stands behind the support by itself."""

    def draw(self, split: str, first: int, count: int) -> Drawn[Talk]:
        """Tasks number first, first + 1, … of a split.

        Raises:
            TasksError: the family has none so large, or one does not fit the context even with a single support example.
        """
        drawn = [self._fitted(cast(Split, split), number) for number in range(first, first + count)]
        supports, queries, of, families = zip(*drawn, strict=True)
        return Drawn(Talk(supports), Talk(queries), of, families)

    def _fitted(self, split: Split, number: int) -> tuple[Rows, Rows, str, str]:
        """Support and query of a task, with as much of the support as the context holds, what it is of, and whose."""
        lesson = self.family.lesson(split, number, self.shots, self.queries)
        # A family's smaller support is the beginning of a larger one, so this is the task as it is with fewer shots.
        for shown in range(max(1, len(lesson.support)), 0, -1):
            part = replace(lesson, support=lesson.support[:shown])
            support, query = self._support(part), self._query(part, random.Random(f"{split} {number}"))
            longest = max(len(row) for row in (*support, *query))
            if longest <= self.chat.context:
                return support, query, lesson.of, lesson.family
        raise TasksError(
            f"Task {number} of {split} has a conversation of {longest} tokens with one support example, and the base holds "
            f"{self.chat.context}: give a base with a longer context, fewer tasks.queries, or shorter examples."
        )

    def _support(self, lesson: Lesson) -> Rows:
        if self.form == "pairs":
            return self._alone(lesson.support)
        return (self.chat.chain(lesson.support),) if lesson.support else ()

    def _query(self, lesson: Lesson, rng: random.Random) -> Rows:
        if self.form == "pairs":
            return self._alone([*lesson.support, *lesson.query] if self.whole else lesson.query)
        if not self.whole:
            return tuple(self.chat.lay(query, lesson.support) for query in lesson.query)
        examples = [*lesson.support, *lesson.query]
        rng.shuffle(examples)
        return (self.chat.chain(examples),)

    def _alone(self, examples: Sequence[Example]) -> Rows:
        return tuple(self.chat.lay(example) for example in examples)
