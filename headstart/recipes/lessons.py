"""Lessons as episodes for a language model: each example alone, or all of a task in one conversation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, final

from headstart.episode import Drawn, Example
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.talk import Talk
from headstart.tasks.family import Family, Lesson, Split

Form = Literal["chain", "pairs"]
"""chain: the examples in front of each other. pairs: each alone."""


@final
@dataclass(frozen=True)
class Lessons:
    """A family as a source of tasks."""

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
        """Tasks number first, first + 1, … of a split."""
        lessons = [self.family.lesson(cast(Split, split), number, self.shots, self.queries) for number in range(first, first + count)]
        orders = [random.Random(f"{split} {number}") for number in range(first, first + count)]
        support = tuple(self._support(lesson) for lesson in lessons)
        return Drawn(Talk(support), Talk(tuple(self._query(lesson, rng) for lesson, rng in zip(lessons, orders, strict=True))))

    def _support(self, lesson: Lesson) -> tuple[Encoded, ...]:
        if self.form == "pairs":
            return self._alone(lesson.support)
        return (self.chat.chain(lesson.support),) if lesson.support else ()

    def _query(self, lesson: Lesson, rng: random.Random) -> tuple[Encoded, ...]:
        if self.form == "pairs":
            return self._alone([*lesson.support, *lesson.query] if self.whole else lesson.query)
        if not self.whole:
            return tuple(self.chat.lay(query, lesson.support) for query in lesson.query)
        examples = [*lesson.support, *lesson.query]
        rng.shuffle(examples)
        return (self.chat.chain(examples),)

    def _alone(self, examples: Sequence[Example]) -> tuple[Encoded, ...]:
        return tuple(self.chat.lay(example) for example in examples)
