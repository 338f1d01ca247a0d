"""Families: endless, seeded sources of tasks in texts, split by task so that nothing of a test task is ever trained on."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, final, get_args

from headstart.episode import Example, exact
from headstart.tasks.words import Side

Split = Literal["train", "validation", "near", "test"]
"""near: words and options of training in new combinations. test: words and options that no other split has,
but for those of the language itself, such as SQL's; validation has its own too."""
SPLITS: tuple[Split, ...] = get_args(Split)


USES: Mapping[str, Split] = {"training": "train", "validation": "validation", "the test": "test"}
"""What is told of a split."""


def side_for(split: Split) -> Side:
    """Whose words a split uses: near uses training's."""
    return "train" if split == "near" else split


def chances(of: str, seed: int) -> random.Random:
    """What a lesson of tasks in files is drawn by: other seeds draw others, and the first those that scores on record are of."""
    return random.Random(f"{seed} {of}" if seed else of)


Check = Callable[[str, str], bool]
"""(the expected answer, an answer) -> whether it is right, in the family's own sense: looser than to the letter."""


@final
@dataclass(frozen=True)
class Lesson:
    """One task: what it shows, and what it then asks."""

    support: tuple[Example, ...]
    query: tuple[Example, ...]
    check: Check = exact
    """Whether an answer to one of the queries is right."""
    of: str = ""
    """The task of a file that it was drawn from, which may be drawn again; empty: it is the only one of its kind."""
    family: str = ""
    """Whose it is, where several take turns."""


class Family(Protocol):
    """Tasks of one kind."""

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split; the same whenever it is drawn.

        The queries do not depend on `shots`, and a smaller support is the beginning of a larger one, so scores over shots are paired.
        The support shows what its queries need as far as its size allows, as a sensible user's would.

        Args:
            split: of the tasks; no word, option or group is in two of train, validation and test.
            number: 0, 1, …
            shots: support examples; 0 or more.
            queries: further examples, none of which is in the support; 1 or more.

        Raises:
            TasksError: the source has no task of that many examples.
        """
        ...
