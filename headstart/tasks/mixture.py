"""Several families as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from headstart.tasks.family import Family, Lesson, Split


@final
@dataclass(frozen=True)
class Mixture:
    """Families in turns: task 0 is the first one's first, task 1 the second one's first, and so on, and round again."""

    families: Mapping[str, Family]
    """By name."""
    turns: tuple[str, ...]
    """Whose turn it is; a family that is named twice comes twice a round, each time with a task of its own."""

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """See `Family`."""
        rounds, at = divmod(number, len(self.turns))
        name = self.turns[at]
        own = rounds * self.turns.count(name) + self.turns[:at].count(name)
        lesson = self.families[name].lesson(split, own, shots, queries)
        # Files of two folders may be called alike.
        return replace(lesson, of=lesson.of and f"{name}: {lesson.of}", family=name)
