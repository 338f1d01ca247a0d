"""Function calls from utterances, as of the Schema-Guided Dialogue set: `Intent(slot="value")`, a service a task, its group the domain.

Intents and slots get new names per task, written in the task's own style, so the support alone says what to call.
"""

from __future__ import annotations

import ast
import json
import keyword
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import final

from headstart.episode import Example, exact
from headstart.errors import ExamplesError
from headstart.tasks.collection import Collection
from headstart.tasks.dealt import dealt
from headstart.tasks.expression import expression
from headstart.tasks.family import Lesson, Split, chances, side_for
from headstart.tasks.task_files import read_tasks
from headstart.tasks.texts import told
from headstart.tasks.words import Side, draw_word

Style = Callable[[list[str]], str]
"""Words -> a name."""
Value = str | int | float | None
_STYLES: tuple[Style, ...] = (
    "_".join,
    lambda words: "".join(map(str.capitalize, words)),
    lambda words: words[0] + "".join(map(str.capitalize, words[1:])),
    lambda words: "_".join(words).upper(),
    lambda words: "_".join(map(str.capitalize, words)),
)


@final
@dataclass(frozen=True)
class Call:
    """A call with named values."""

    name: str
    values: Mapping[str, Value]

    @property
    def names(self) -> frozenset[str]:
        """What must be known to write it: the intent and its slots."""
        return frozenset({self.name, *self.values})


def _kind(calls: Mapping[str, Call], example: Example) -> str:
    return "with arguments" if calls[example.completion].values else "bare"


def _needs(calls: Mapping[str, Call], example: Example) -> frozenset[str]:
    return calls[example.completion].names


@final
@dataclass(frozen=True)
class Calls:
    """Utterance -> call, half of the calls with arguments as far as there are any."""

    services: Collection
    calls: Mapping[str, Call]
    """Each output of the files, parsed."""

    @classmethod
    def read(cls, data: Path, room: int = 8, seed: int = 0) -> Calls:
        """The services of a file or folder.

        Raises:
            ExamplesError: the files cannot be used, or an output is no call.
            TasksError: fewer than three domains.
        """
        tasks = read_tasks(data)
        read = {text: parsed(text) for text in {e.completion for task in tasks for e in task.examples}}
        calls = {text: call for text, call in read.items() if call is not None}
        bad = [f"  {task.name}: {e.completion}" for task in tasks for e in task.examples if e.completion not in calls]
        if bad:
            raise ExamplesError(told(bad, f"{len(bad)} outputs of '{data}' are not of the form Intent(slot=\"value\"):"))
        services = Collection(
            dealt(tasks),
            same_call,
            room,
            kind=partial(_kind, calls),
            needs=partial(_needs, calls),
            seed=seed,
        )
        return cls(services, calls)

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split: a service, every intent and slot of which has a new name.

        Raises:
            TasksError: no service of the split has that many examples.
        """
        task, lesson = self.services.drawn(split, number, shots, queries)
        olds = frozenset().union(*(self.calls[e.completion].names for e in task.examples))
        names = _draw_names(chances(f"calls {split} {number}", self.services.seed), side_for(split), olds)
        return replace(lesson, support=self._renamed(lesson.support, names), query=self._renamed(lesson.query, names))

    def _renamed(self, examples: Iterable[Example], names: Mapping[str, str]) -> tuple[Example, ...]:
        answers = ((e, _written(self.calls[e.completion], names)) for e in examples)
        return tuple(replace(e, messages=(*e.messages[:-1], ("assistant", answer))) for e, answer in answers)


def parsed(text: str) -> Call | None:
    """A call of named constants, or None: it is parsed, never run."""
    tree = expression(text)
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        return None
    values = {given.arg: ast.literal_eval(given.value) for given in tree.keywords if given.arg and _is_plain(given.value)}
    return Call(tree.func.id, values) if len(values) == len(tree.keywords) else None


def _is_plain(given: ast.expr) -> bool:
    match given:
        case ast.UnaryOp(ast.USub() | ast.UAdd(), ast.Constant(value)):
            return type(value) in (int, float)
        case ast.Constant(value):
            return value is None or isinstance(value, str | int | float)
    return False


def same_call(expected: str, got: str) -> bool:
    """Whether two calls are of one name, with the same values for the same arguments in any order."""
    wanted, call = parsed(expected), parsed(got)
    if wanted is None or call is None:
        return exact(expected, got)
    # 1, 1.0 and True are equal to Python, and "1" is what most would write; here they are four answers.
    return wanted.name == call.name and _told(wanted) == _told(call)


def _told(call: Call) -> dict[str, str]:
    return {name: repr(value) for name, value in call.values.items()}


def _draw_names(rng: random.Random, side: Side, olds: frozenset[str]) -> dict[str, str]:
    """A new name of one or two words for each intent and slot of the whole task, however few of them a lesson shows."""
    style, lengths = rng.choice(_STYLES), rng.choice(((1,), (2,), (1, 2)))
    names: dict[str, str] = {}
    for old in sorted(olds):
        new = ""
        while not new.isidentifier() or keyword.iskeyword(new) or new in names.values():
            new = style([re.sub(r"\W", "", draw_word(rng, side)) for _ in range(rng.choice(lengths))])
        names[old] = new
    return names


def _written(call: Call, names: Mapping[str, str]) -> str:
    values = (f"{names[slot]}={_literal(value)}" for slot, value in call.values.items())
    return f"{names[call.name]}({', '.join(values)})"


def _literal(value: Value) -> str:
    """As the files have it: text in the double quotes of their form, all else as Python writes it, for which infinity is no name."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else ast.unparse(ast.Constant(value))
