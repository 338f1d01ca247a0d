"""Command lines from descriptions, as of tldr pages: lines of `headstart.tasks.task_files`, a page a task, its group the program.

A program's name and the style of its options are drawn per task, so they must be read from the support.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from headstart.episode import Example, exact
from headstart.tasks.collection import Collection
from headstart.tasks.dealt import dealt
from headstart.tasks.family import Lesson, Split, chances, side_for
from headstart.tasks.task_files import Task, read_tasks
from headstart.tasks.words import draw_word

_LONGEST = 160
"""Letters of a command line; longer ones are left out."""
_MARKED = 1600
"""The same with its marks, which are looked for in the square of the letters."""
_SPELLINGS = re.compile(r"\{\{\[([^\[\]{}|]+(?:\|[^\[\]{}|]+)+)\]\}\}")
"""{{[-r|--remote]}}: the same option, short and long."""
_PLACE = re.compile(r"\{\{(.*?)\}\}")
"""{{path/to/file}}, {{on|off}}: what the user fills in."""
_NAME = re.compile(r"\w[\w.+-]+")
"""Programs that can be renamed; the others are called `[` or `!`."""
_PIECE = re.compile(
    r"""'(?P<closed>[^']*)'|"(?P<open>(?:\\.|[^"\\])*)"|\\(?P<one>.)|(?P<operator>(?:(?<!\S)\d+(?=[<>]))?[|&;()<>]+)""", re.DOTALL
)
"""What a shell does not take as it stands; a number right before < or > belongs to it."""
_SIGN = re.compile(r"""[\s*?\[~$`#|&;()<>\\'"]|\{(?!\})""")
"""Means something to a shell unless it is quoted; {} does not."""
_IN_OPEN = re.compile(rf"""\\(?P<held>[$`"\\])|(?P<read>[$`])|{_SIGN.pattern}""")
"""The same between double quotes, where some are read all the same."""


@final
@dataclass(frozen=True)
class Commands:
    """Description -> command line, the pages of one program together."""

    pages: Collection

    @classmethod
    def read(cls, data: Path, room: int = 4, seed: int = 0) -> Commands:
        """The pages of a file or folder.

        Raises:
            ExamplesError: the files cannot be used.
            TasksError: fewer than three programs.
        """
        return cls(Collection(dealt(_programs(read_tasks(data))), same_command, room, seed=seed))

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split: a program, renamed every other time, with long options in two of three and short ones in the third.

        Raises:
            TasksError: no program of the split has that many examples.
        """
        task, lesson = self.pages.drawn(split, number, shots, queries)
        rng = chances(f"commands {split} {number}", self.pages.seed)
        long, renamed = rng.random() < 2 / 3, rng.random() < 1 / 2
        # A folder that is split already has its splits in front of the programs.
        name = task.group.removeprefix(f"{task.split}/")
        word = draw_word(rng, side_for(split)) if renamed else name
        return replace(lesson, support=_told(lesson.support, name, word, long), query=_told(lesson.query, name, word, long))


def same_command(expected: str, got: str) -> bool:
    """Whether two command lines are the same words and operators to a shell; to the letter, where they are no shell's.

    However a word is quoted, as long as the same signs in it mean something to the shell: `'*.txt'` is not `*.txt`, nor `'$x'` `"$x"`.
    """
    try:
        shlex.split(expected), shlex.split(got)
    except ValueError:
        return exact(expected, got)
    return _words(expected) == _words(got)


def plain(line: str, long: bool) -> str:
    """A page's command line without its marks: the long or the short spelling of each option, the first of several values."""
    spelt = _SPELLINGS.sub(lambda found: found[1].split("|")[-1 if long else 0], line)
    return _PLACE.sub(lambda found: _first(found[1]), spelt)


def rename(text: str, name: str, word: str) -> str:
    """A text in which a program has another name, wherever it is a word of its own and no option."""
    return re.sub(rf"(?<![\w-]){re.escape(name)}(?!\w)", lambda _: word, text) if _NAME.fullmatch(name) else text


def _words(line: str) -> list[str]:
    return _PIECE.sub(_bare, line).split()


def _bare(piece: re.Match[str]) -> str:
    """A piece without its quotes; signs that stood in them are marked as letters, or as read in spite of them."""
    if piece["operator"]:
        return f" {piece['operator']} "
    if piece["open"] is None:
        return _SIGN.sub(lambda sign: _letter(sign[0]), piece["closed"] or piece["one"] or "") or _letter("")
    return _IN_OPEN.sub(lambda it: f'"{it[0]}' if it["read"] else _letter(it["held"] or it[0]), piece["open"]) or _letter("")


def _letter(sign: str) -> str:
    # No backslash is left that could be taken for this one.
    return f"\\{sign.encode().hex()};"


def _first(place: str) -> str:
    # A pipe has blanks around it; a choice of values has none.
    return place.split("|")[0] if " " not in place and not place.startswith("|") else place


def _told(examples: Iterable[Example], name: str, word: str, long: bool) -> tuple[Example, ...]:
    return tuple(Example.pair(rename(e.prompt, name, word), rename(plain(e.completion, long), name, word)) for e in examples)


def _programs(pages: Iterable[Task]) -> Iterator[Task]:
    """The pages of each program as one task."""
    programs: dict[str, list[Task]] = {}
    for page in pages:
        programs.setdefault(page.group, []).append(page)
    for name, some in programs.items():
        yield Task(name, name, tuple(e for page in some for e in page.examples if _short(e)), some[0].split)


def _short(example: Example) -> bool:
    return len(example.completion) <= _MARKED and len(plain(example.completion, long=True)) <= _LONGEST
