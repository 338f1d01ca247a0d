"""Examples and episodes: what a task shows (support) and what it asks (query)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar, final

import torch
from torch import Tensor

from headstart.loss import outcome_losses


def as_chat(messages: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Messages, (role, content) each, as JSON and chat templates have them."""
    return [{"role": role, "content": content} for role, content in messages]


@dataclass(frozen=True)
class Example:
    """One worked example as a chat: every message but the last is given, the last is to be learnt."""

    messages: tuple[tuple[str, str], ...]
    """(role, content), the last one the assistant's"""

    @classmethod
    def pair(cls, prompt: str, completion: str) -> Example:
        """A single question and its answer."""
        return cls((("user", prompt), ("assistant", completion)))

    @property
    def prompt(self) -> str:
        """The last thing asked."""
        return self.messages[-2][1]

    @property
    def completion(self) -> str:
        """The answer to be learnt."""
        return self.messages[-1][1]

    def under(self, system: str) -> Example:
        """The same, told this by the system where it tells nothing of its own; empty: as it is."""
        return self if not system or self.messages[0][0] == "system" else Example((("system", system), *self.messages))


def told_by_all(examples: Sequence[Example]) -> str:
    """What the system says in every one of them; empty where that is nothing, or not the same."""
    told = {example.messages[0] for example in examples}
    return told.pop()[1] if len(told) == 1 and all(role == "system" for role, _ in told) else ""


def exact(expected: str, got: str) -> bool:
    """Whether an answer is the expected one, blank space at its ends aside."""
    return expected.strip() == got.strip()


def right(examples: Sequence[Example], texts: Sequence[str]) -> float:
    """The share of examples whose answers are the expected ones; of nothing, it is an error."""
    return sum(exact(example.completion, text) for example, text in zip(examples, texts, strict=True)) / len(examples)


@final
@dataclass(frozen=True)
class Asked:
    """Rows of inputs and the slot of each: all that a learner sees before it predicts."""

    slots: Tensor
    """task i of a batch sits in slot i + 1, (rows,) int64; for the classics on the processor, where to look at them keeps no GPU waiting"""
    inputs: Any
    """whatever the net reads, rows first; for the classics (rows, n, ...)"""

    @property
    def owners(self) -> Tensor:
        """For the classics, the task that each row belongs to, from 0, where the inputs are: (rows,) int64."""
        owners: Tensor = (self.slots - 1).to(self.inputs.device)
        return owners


def in_turn(count: int, step: int, size: int) -> list[int]:
    """Which of `count` examples a step takes: the `size` next ones, counted round; all where there are no more."""
    size = min(size, count)
    return [(step * size + i) % count for i in range(size)]


class Shown(Protocol):
    """Inputs with their answers, for a batch of tasks. `Labelled` is the classics'; a language model has its own."""

    @property
    def tasks(self) -> int:
        """How many tasks are in the batch."""
        ...

    @property
    def asked(self) -> Asked:
        """The inputs alone."""
        ...

    def losses(self, outputs: Tensor) -> Tensor:
        """Each task's mean loss of outputs against its own answers, (tasks,)."""
        ...

    def score(self, outputs: Tensor) -> tuple[str, Tensor]:
        """What is measured, and how good each task's outputs are, (tasks,); no number where they are none."""
        ...

    @property
    def sizes(self) -> list[int]:
        """How much each task makes a net read, in the net's own units."""
        ...

    def part(self, tasks: Sequence[int]) -> Self:
        """Some of the tasks, by number."""
        ...

    def minibatch(self, step: int, size: int) -> Self:
        """Of every task the examples step * size to (step + 1) * size - 1, counted round; all of them where there are no more than size."""
        ...

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """The same on a device, its values in a precision."""
        ...


@final
@dataclass(frozen=True)
class Labelled:
    """Inputs and targets of a batch of tasks, one row a task."""

    inputs: Tensor
    """(tasks, n, ...)"""
    targets: Tensor
    """classes from 0, (tasks, n) int64; or values, (tasks, n, width) float"""

    @property
    def tasks(self) -> int:
        """How many tasks are in the batch."""
        return len(self.inputs)

    @property
    def asked(self) -> Asked:
        """The inputs alone, task i in slot i + 1."""
        return Asked(torch.arange(1, self.tasks + 1), self.inputs)

    def losses(self, outputs: Tensor) -> Tensor:
        """Cross-entropy of (tasks, n, ways) scores for classes, mean squared error for values: (tasks,)."""
        return outcome_losses(outputs, self.targets)

    def score(self, outputs: Tensor) -> tuple[str, Tensor]:
        """The share of right classes, "accuracy", or the mean squared error of values, "mse"."""
        if self.targets.is_floating_point():
            return "mse", self.losses(outputs).detach().double()
        # A class whose score is no number is none that was told.
        right = (outputs.argmax(-1) == self.targets).double().mean(1)
        return "accuracy", torch.where((outputs.isnan() | outputs.isposinf()).flatten(1).any(1), torch.nan, right).detach()

    @property
    def sizes(self) -> list[int]:
        """Examples of each task."""
        return [self.inputs.shape[1]] * self.tasks

    def part(self, tasks: Sequence[int]) -> Labelled:
        """Some of the tasks, by number."""
        return Labelled(self.inputs[list(tasks)], self.targets[list(tasks)])

    def minibatch(self, step: int, size: int) -> Labelled:
        """Of every task the examples step * size to (step + 1) * size - 1, counted round; all of them where there are no more than size."""
        size = min(size, self.inputs.shape[1])
        # Not by a list of numbers, which a GPU would be sent and a recording of it cannot hold.
        return Labelled(*(x.roll(-step * size, 1)[:, :size] for x in (self.inputs, self.targets)))

    def to(self, device: torch.device, dtype: torch.dtype) -> Labelled:
        """The same on a device, what is not a whole number in a precision."""
        return Labelled(*(x.to(device, dtype) if x.is_floating_point() else x.to(device) for x in (self.inputs, self.targets)))


S_co = TypeVar("S_co", bound=Shown, covariant=True)


@final
@dataclass(frozen=True)
class Drawn(Generic[S_co]):
    """A batch of tasks: what each shows, and what it then asks."""

    support: S_co
    query: S_co
    of: tuple[str, ...] = ()
    """Of each task what it was drawn from, where that may come again, or nothing: tasks of one file are no two to judge by. Empty: each is
    another."""
    families: tuple[str, ...] = ()
    """Of each task whose it is, where several families take turns: each counts alike in a score, however many tasks it has. Empty:
    they are of one."""

    @property
    def tasks(self) -> int:
        """How many tasks are in the batch."""
        return self.support.tasks

    def part(self, tasks: Sequence[int]) -> Drawn[S_co]:
        """Some of the tasks, by number."""
        of, families = (tuple(names[task] for task in tasks) if names else () for names in (self.of, self.families))
        return Drawn(self.support.part(tasks), self.query.part(tasks), of, families)

    def to(self, device: torch.device, dtype: torch.dtype) -> Drawn[S_co]:
        """The same on a device, values in a precision."""
        return Drawn(self.support.to(device, dtype), self.query.to(device, dtype), self.of, self.families)


Episodes = Drawn[Labelled]
"""A batch of the classics' tasks."""


class Tasks(Protocol):
    """An endless, reproducible source of tasks: task number i of a split is the same whenever it is drawn."""

    def draw(self, split: str, first: int, count: int) -> Drawn[Any]:
        """Tasks number first, first + 1, … of a split.

        Drawing keeps no state, so a run that is resumed, or shared out over processes, sees the same tasks.

        Args:
            split: "train", "validation" or "test"; no task is in two.
            first: number of the first task.
            count: how many, stacked along the first axis.
        """
        ...
