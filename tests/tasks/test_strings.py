"""Strings and inflection: collections whose answers may be spaced otherwise, and gaps in the files that do no harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.errors import ExamplesError
from headstart.recipes.spoken import SINGLE
from headstart.tasks.collection import Collection


def strings(data: Path) -> Collection:
    return SINGLE["strings"].make({"data": data, "shots": 4}, 0)


def inflection(data: Path) -> Collection:
    return SINGLE["inflection"].make({"data": data, "shots": 8}, 0)


def write(path: Path, odd: list[list[str]]) -> Path:
    rows = [{"task": f"t{g}", "group": f"g{g}", "examples": [*([f"{g} {i}", f"{i} {g}"] for i in range(30)), *odd]} for g in range(6)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("family", [strings, inflection])
def test_answers_may_be_spaced_otherwise(tmp_path: Path, family: Callable[[Path], Collection]) -> None:
    lesson = family(write(tmp_path / "t.jsonl", [])).lesson("test", 0, 4, 2)
    for example in lesson.query:
        assert lesson.check(example.completion, example.completion.replace(" ", "  "))
        assert not lesson.check(example.completion, example.completion.replace(" ", ""))


def test_strings_pass_over_empty_sides_and_inflection_does_not(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [["", "x"], ["y", " "]])
    assert {len(pool.asked) for pool in strings(path).dealt.pools["test"]} == {30}
    with pytest.raises(ExamplesError, match="6 of 6 rows"):
        inflection(path)


def test_dates_and_numbers_are_trained_on(shared: Path) -> None:
    path = shared / "data" / "tasks" / "strings_prose.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"there is no data set '{path.name}' in the shared folder")
    groups = {pool.task.group for pool in strings(path).dealt.pools["train"]}
    assert {"DateTime", "Number"} <= groups
