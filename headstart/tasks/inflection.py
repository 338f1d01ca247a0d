"""Inflection of words in many languages, as of UniMorph: lines of `headstart.tasks.task_files`, a task a language and form.

The group is the language's family, so that a language of the test is not even a cousin of a trained one.
"""

from __future__ import annotations

from pathlib import Path

from headstart.tasks.collection import Collection, same_words


def inflection(data: Path, room: int = 8, seed: int = 0) -> Collection:
    """The forms of a file: lemma -> inflected form. In training families come equally often, and forms within their family.

    Raises:
        ExamplesError: the file cannot be used.
        TasksError: fewer than three families.
    """
    return Collection.read(data, same_words, room, seed)
