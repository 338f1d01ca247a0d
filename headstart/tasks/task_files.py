"""Text tasks from files: a folder in which each file is a task, or one file with a task a line.

folder/reviews.jsonl                                  a task, its own group; .jsonl, .json, .csv or .tsv; rows: `headstart.tasks.shapes`
folder/shop/reviews.jsonl                             a task of the group "shop"
folder/train/…, folder/validation/…, folder/test/…    the same below each, already split
{"task": …, "group": …, "examples": [[input, output], …]}    a line of a .jsonl file, packed by gzip (.jsonl.gz) or not
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final, get_args

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.tasks.shapes import BadRow, example
from headstart.tasks.texts import ENDINGS, each, read_examples, rows_in
from headstart.tasks.words import Side

_SIDES: dict[str, Side] = {name: name for name in get_args(Side)}
_WANTED = '{"task", "group", "examples": [[input, output], …]}'


@final
@dataclass(frozen=True)
class Task:
    """One task with all its examples."""

    name: str
    group: str
    """Tasks of one group are alike, and belong to one split."""
    examples: tuple[Example, ...]
    split: Side | None = None
    """Where its files put it; None: to be dealt."""


def read_tasks(data: Path, gaps: bool = False) -> list[Task]:
    """Every task of a folder or a file, or none.

    Args:
        data: a folder, or a .jsonl or .jsonl.gz file.
        gaps: lines of tasks may hold pairs of which one side is empty; these are passed over, not refused.

    Raises:
        ExamplesError: nothing there, not text, empty, or bad rows: every one of them, by line.
    """
    tasks = _folder(data) if data.is_dir() else [task for _, task in each(str(data), rows_in(data), partial(_task, gaps))]
    if not tasks:
        raise ExamplesError(f"'{data}' is empty; a folder of .jsonl, .json, .csv or .tsv files is needed, or lines of {_WANTED}.")
    return tasks


def _folder(folder: Path) -> list[Task]:
    tasks, bad = [], []
    sorted_out = any((folder / name).is_dir() for name in _SIDES)
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file()):
        try:
            tasks.append(_file(path, path.relative_to(folder), sorted_out))
        except ExamplesError as error:
            bad.append(str(error))
    if bad:
        raise ExamplesError("\n".join(bad))
    return tasks


def _file(path: Path, inside: Path, sorted_out: bool) -> Task:
    if sorted_out and inside.parts[0] not in _SIDES:
        raise ExamplesError(
            f"'{path}' is in none of {', '.join(_SIDES)}, and its folder has one of these: put it into one of them, or call that folder "
            "otherwise."
        )
    name = inside.with_suffix("").as_posix()
    group = name if len(inside.parts) == 1 + sorted_out else inside.parent.as_posix()
    return Task(name, group, tuple(read_examples(path)), _SIDES[inside.parts[0]] if sorted_out else None)


def _task(gaps: bool, row: Any) -> Task:
    if not isinstance(row, dict):
        raise BadRow(f"{_WANTED} is wanted")
    name, pairs = row.get("task"), row.get("examples")
    group = row.get("group", name)
    for key, value in (("task", name), ("group", group)):
        if not isinstance(value, str) or not value.strip():
            raise BadRow(f'"{key}" is missing, empty or no text; {_WANTED} is wanted')
    if not isinstance(pairs, list) or not pairs:
        raise BadRow(f'"examples" is missing, empty or no list; {_WANTED} is wanted')
    return Task(str(name), str(group), tuple(_pair(at, pair) for at, pair in enumerate(pairs) if not (gaps and _gap(pair))))


def _gap(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and any(isinstance(side, str) and not side.strip() for side in pair)


def _pair(at: int, pair: Any) -> Example:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadRow(f"example {at} is not a pair of input and output")
    try:
        return example({"prompt": pair[0], "completion": pair[1]})
    except BadRow as error:
        raise BadRow(f"example {at}: {error}") from error
