"""String transformations by example, as of PROSE's benchmarks: lines of `headstart.tasks.task_files`, grouped by what is transformed."""

from __future__ import annotations

from pathlib import Path

from headstart.tasks.collection import Collection, same_words
from headstart.tasks.dealt import dealt
from headstart.tasks.task_files import read_tasks

_SEED = 11
"""PROSE's two largest groups, dates and numbers, are trained on under it, and its test is the largest of such deals."""


def strings(data: Path, room: int = 4, seed: int = 0) -> Collection:
    """The transformations of a file. In training groups come equally often, so that dates and numbers do not crowd out the rest.

    Pairs of which one side is empty are passed over: there is nothing to ask or to answer.

    Raises:
        ExamplesError: the file cannot be used.
        TasksError: fewer than three groups.
    """
    return Collection(dealt(read_tasks(data, gaps=True), _SEED), same_words, room, seed=seed)
