"""A collection of text tasks from files as a family: groups of tasks are dealt to splits, lessons are drawn from their examples."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import final

from headstart.episode import Example, exact
from headstart.errors import TasksError
from headstart.tasks.dealt import Dealt, Pool, dealt
from headstart.tasks.family import USES, Check, Lesson, Split, chances
from headstart.tasks.task_files import Task, read_tasks


def _alike(_: Example) -> str:
    return ""


def _nothing(_: Example) -> frozenset[str]:
    return frozenset()


def same_words(expected: str, got: str) -> bool:
    """Whether an answer is the expected one, however its words are spaced."""
    return expected.split() == got.split()


@final
@dataclass(frozen=True)
class Collection:
    """Tasks of files, as lessons.

    Files hold no new combinations of known options, so near is something else here: tasks of training, asked about the fifth of
    their examples that training never shows. A near support is drawn from the other examples, as a fifth of a small task is too few.
    """

    dealt: Dealt
    """The tasks by split; says how many examples were left out, and why."""
    check: Check = exact
    room: int = 8
    """Tasks too small for so large a support are left out even if a smaller one is asked for, so that scores over
    shots are of the same tasks and queries. Beyond it, more shots mean other tasks."""
    kind: Callable[[Example], str] = _alike
    """Examples of each kind are drawn equally often."""
    needs: Callable[[Example], frozenset[str]] = _nothing
    """What must have been seen to answer an example; the support shows first what the queries need."""
    seed: int = 0
    """Other seeds draw other lessons of the same tasks, which are dealt alike for all."""

    @classmethod
    def read(cls, data: Path, check: Check = exact, room: int = 8, seed: int = 0, gaps: bool = False, deal: int = 0) -> Collection:
        """The tasks of a folder or a file, as `headstart.tasks.task_files` reads them.

        Args:
            data: the folder or file.
            check: whether an answer is right.
            room: see `Collection.room`.
            seed: see `Collection.seed`.
            gaps: see `read_tasks`.
            deal: other numbers deal groups of tasks to other splits.

        Raises:
            ExamplesError: the files cannot be used.
            TasksError: fewer than three groups of tasks.
        """
        return cls(dealt(read_tasks(data, gaps), deal), check, room, seed=seed)

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split.

        For training, groups are drawn equally often, and tasks within their group, so that a large group does not crowd out the rest.
        For judging, every task comes once before any comes again: an interval over tasks takes each for another.

        Raises:
            TasksError: no task of the split has that many examples.
        """
        return self.drawn(split, number, shots, queries)[1]

    def drawn(self, split: Split, number: int, shots: int, queries: int) -> tuple[Task, Lesson]:
        """A lesson with the task that it is of.

        Raises:
            TasksError: no task of the split has that many examples.
        """
        rng = chances(f"{split} {number}", self.seed)
        groups = self._groups(split, max(shots, self.room), queries)
        pool = rng.choice(groups[rng.choice(sorted(groups))]) if split == "train" else _each_once(groups, split, number)
        query = mixed(rng, pool.asked, self.kind)[:queries]
        asked = set(query)
        rest = mixed(rng, [example for example in pool.shown if example not in asked], self.kind)
        wanted = frozenset().union(*map(self.needs, query))
        return pool.task, Lesson(
            tuple(covering(rest, wanted, self.needs)[:shots]), tuple(query), self.check, f"{pool.task.group}: {pool.task.name}"
        )

    def told(self, shots: int, queries: int) -> str:
        """In a sentence: how many tasks each split has that are large enough, and what was left out."""
        large = {use: len(self._large(split, max(shots, self.room), queries)) for use, split in USES.items()}
        why = {
            "task with too few examples": sum(len(self.dealt.pools[split]) for split in USES.values()) - sum(large.values()),
            "example whose input has two answers": self.dealt.doubtful,
            "example that a later split has too": self.dealt.leaked,
        }
        out = [f"{count} {thing if count == 1 else thing.replace(' ', 's ', 1)}" for thing, count in why.items() if count]
        return f"tasks: {', '.join(f'{count} for {use}' for use, count in large.items())}{'; left out: ' if out else ''}{', '.join(out)}"

    def _large(self, split: Split, shots: int, queries: int) -> list[Pool]:
        """The tasks that are large enough."""
        return [pool for pool in self.dealt.pools[split] if pool.has(shots, queries)]

    def _groups(self, split: Split, shots: int, queries: int) -> dict[str, list[Pool]]:
        """The same, by group."""
        groups: dict[str, list[Pool]] = {}
        for pool in self._large(split, shots, queries):
            groups.setdefault(pool.task.group, []).append(pool)
        if not groups:
            raise TasksError(_too_small(self.dealt.pools[split], split, shots, queries))
        return groups


def _each_once(groups: Mapping[str, Sequence[Pool]], split: Split, number: int) -> Pool:
    """Of passes over all tasks, each in a random order of its own: groups in turn, each for as long as it has any left."""
    count = sum(map(len, groups.values()))
    rng = random.Random(f"{split} {number // count}")
    shuffled = [rng.sample(groups[name], len(groups[name])) for name in rng.sample(sorted(groups), len(groups))]
    return [pool for turn in zip_longest(*shuffled) for pool in turn if pool is not None][number % count]


def mixed(rng: random.Random, examples: Iterable[Example], kind: Callable[[Example], str]) -> list[Example]:
    """Examples in random order, each of a kind drawn first; where a kind is used up, the others go on."""
    kinds: dict[str, list[Example]] = {}
    for example in examples:
        kinds.setdefault(kind(example), []).append(example)
    for some in kinds.values():
        rng.shuffle(some)
    ordered = []
    while kinds:
        drawn = rng.choice(list(kinds))
        ordered.append(kinds[drawn].pop())
        if not kinds[drawn]:
            del kinds[drawn]
    return ordered


def covering(examples: Sequence[Example], wanted: frozenset[str], needs: Callable[[Example], frozenset[str]]) -> list[Example]:
    """Examples in their order, but for those that first show most of what is wanted: these come first."""
    shows = {at: needs(example) for at, example in enumerate(examples)}
    first: list[int] = []
    while wanted and shows:
        best = max(shows, key=lambda at: len(shows[at] & wanted))
        if not shows[best] & wanted:
            break
        wanted -= shows.pop(best)
        first.append(best)
    return [examples[at] for at in (*first, *shows)]


def _too_small(pools: Sequence[Pool], split: Split, shots: int, queries: int) -> str:
    wanted = f"{shots} support examples and {queries} queries are wanted"
    if not pools:
        return f"There is no task for {split}; {wanted}."
    largest = max(pools, key=lambda pool: (pool.has(0, queries), len(pool.shown)))
    has = len(largest.shown) if largest.asked is largest.shown else f"{len(largest.shown)} to show and {len(largest.asked)} to ask"
    return (
        f"No task for {split} is large enough: {wanted}, and the largest, '{largest.task.name}', has {has} examples. "
        "Ask for fewer, or add examples."
    )
