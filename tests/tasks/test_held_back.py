"""Tasks that results were measured on stay what they are, whatever training is given."""

from __future__ import annotations

import hashlib

import pytest

from headstart.tasks.apis import Apis
from headstart.tasks.family import Family, Split
from headstart.tasks.sql import Dialects


@pytest.mark.parametrize(
    ("family", "split", "wanted"),
    [
        (Dialects(), "validation", "f3e4a37e06eb"),
        (Dialects(), "test", "565ea6b84583"),
        (Apis(), "validation", "91208b421cc8"),
        (Apis(), "test", "7d7b1bdd65b7"),
    ],
)
def test_letter_for_letter(family: Family, split: Split, wanted: str) -> None:
    told = hashlib.sha256()
    for number in range(60):
        lesson = family.lesson(split, number, 5, 4)
        for example in (*lesson.support, *lesson.query):
            told.update(repr((example.prompt, example.completion)).encode())
    assert told.hexdigest()[:12] == wanted
