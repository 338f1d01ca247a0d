"""Lessons on a toolkit that nobody has seen: its names and notation can only be learnt from the examples."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.apis.calls import Call, ask, draw_call
from headstart.tasks.apis.check import SameCall
from headstart.tasks.apis.toolkit import Toolkit, draw_toolkit
from headstart.tasks.family import Lesson, Split, side_for
from headstart.tasks.words import Side

_TRIES = 200
_CHOICES = 3
"""calls of each action that a support example is chosen from"""


@final
@dataclass(frozen=True)
class Apis:
    """Toolkits of lights, files, robots, …: from an instruction to one call.

    Domains, values, names and notations of test and validation are their own; near tasks are further toolkits of training's.
    """

    seed: int = 0

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split, as `Family` has it."""
        if shots < 0 or queries < 1:
            raise TasksError(f"A task has 0 or more shots and 1 or more queries: not {shots} and {queries}.")
        side, toolkit = side_for(split), self.toolkit(split, number)
        rng = self._rng(split, number, "queries")
        taken: dict[str, Example] = {}
        asked = [_taken(toolkit, _fresh(toolkit, side, rng, taken), rng, taken) for _ in range(queries)]
        needed = _features(call for call, _ in asked)
        rng = self._rng(split, number, "support")
        shown: Counter[str] = Counter()
        support = []
        for _ in range(shots):
            call, example = _taken(toolkit, _best(toolkit, side, rng, taken, needed, shown), rng, taken)
            shown.update(_features([call]))
            support.append(example)
        return Lesson(tuple(support), tuple(example for _, example in asked), check_of(toolkit))

    def toolkit(self, split: Split, number: int) -> Toolkit:
        """What a task is about."""
        return draw_toolkit(side_for(split), self._rng(split, number, "toolkit"))

    def _rng(self, split: Split, number: int, part: str) -> random.Random:
        return random.Random(f"apis {self.seed} {split} {number} {part}")


def check_of(toolkit: Toolkit) -> SameCall:
    """The check of a toolkit's calls."""
    convention = toolkit.convention
    shape = convention.shape
    tail = shape.whole.partition("{args}")[2].format(end=toolkit.end) if shape.named and not shape.ordered else ""
    return SameCall(shape, convention.frame + convention.stop, tail)


def _fresh(toolkit: Toolkit, side: Side, rng: random.Random, taken: Mapping[str, Example]) -> Call:
    """A call that is not taken, of any action of the toolkit."""
    for _ in range(_TRIES):
        call = draw_call(rng.choice(toolkit.functions).action, side, rng)
        if toolkit.write(call) not in taken:
            return call
    raise TasksError(f"This toolkit has no more than about {len(taken)} different calls: ask for fewer examples.")


def _best(
    toolkit: Toolkit, side: Side, rng: random.Random, taken: Mapping[str, Example], needed: Counter[str], shown: Counter[str]
) -> Call:
    """Of some calls that are not taken, the one that shows most of what is needed and has been shown least: actions first."""
    drawn = [draw_call(f.action, side, rng) for f in toolkit.functions for _ in range(_CHOICES)]
    calls = [call for call in drawn if toolkit.write(call) not in taken] or [_fresh(toolkit, side, rng, taken)]

    def worth(call: Call) -> tuple[bool, int, bool, int]:
        action = call.action.heads[0]
        times = [shown[feature] for feature in call.features() if feature in needed]
        return (action in needed and not shown[action], times.count(0), action in needed and shown[action] < 2, times.count(1))

    return max(calls, key=worth)


def _features(calls: Iterable[Call]) -> Counter[str]:
    return Counter(feature for call in calls for feature in (call.action.heads[0], *call.features()))


def _taken(toolkit: Toolkit, call: Call, rng: random.Random, taken: dict[str, Example]) -> tuple[Call, Example]:
    text = toolkit.write(call)
    asked = ask(call, rng)
    taken[text] = Example.pair(toolkit.opening + asked[0].lower() + asked[1:] if toolkit.opening else asked, text)
    return call, taken[text]
