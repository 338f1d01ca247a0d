"""Few-shot classification as texts: from two to six classes an episode, under names that mean something in one episode of three."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import final

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.dealt import held_out
from headstart.tasks.family import USES, Lesson, Split, chances, side_for
from headstart.tasks.splits import SHARES, deal
from headstart.tasks.topics import of_one_topic, read_topics
from headstart.tasks.words import Side, draw_word
from headstart.terms import counted

_WAYS = 6
_INSTRUCTIONS: Mapping[Side, tuple[str, ...]] = {
    "train": ("Which of {} is this?", "Sort this into one of: {}.", "Label the text. Labels: {}.", "Classify. Choices: {}."),
    "validation": ("Answer with one of {}.", "The text belongs to one of these: {}. Which?"),
    "test": ("What fits best: {}?", "Pick a category from {}."),
}


@final
@dataclass(frozen=True)
class Topic:
    """One class as one split sees it."""

    name: str
    asked: tuple[str, ...]
    """Texts for queries."""
    shown: tuple[str, ...]
    """Texts for the support: the same, or for near others."""

    def has(self, shots: int, queries: int) -> bool:
        """Whether so many texts can be shown, and so many others asked."""
        total = len({*self.asked, *self.shown})
        return len(self.asked) >= queries and len(self.shown) >= shots and total >= shots + queries


@final
@dataclass(frozen=True)
class Labels:
    """Text -> its label among a few. Near asks about training's classes with the fifth of their texts that training never shows."""

    topics: Mapping[Split, tuple[Topic, ...]]
    room: int = 12
    """The same classes are drawn for any smaller support, so that scores over shots are of the same tasks."""
    doubtful: int = 0
    """Texts left out as they are of several classes."""
    seed: int = 0
    """Other seeds draw other lessons of the same classes, which are dealt alike for all."""

    @classmethod
    def read(cls, data: Path, room: int = 12, seed: int = 0) -> Labels:
        """The labelled texts of a file in any form that `headstart.tasks.topics` reads.

        Raises:
            ExamplesError: the file cannot be used.
            TasksError: fewer than six classes: two for each split.
        """
        clean, doubtful = of_one_topic(read_topics(data))
        if len(clean) < 2 * len(SHARES):
            out = f" Left out: {counted(doubtful, 'text')} of several classes." if doubtful else ""
            raise TasksError(
                f"'{data}' has {counted(len(clean), 'class')}; {2 * len(SHARES)} are needed, two each for {', '.join(SHARES)}.{out}"
            )
        return cls(_split(clean), room, doubtful, seed)

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split. The support shows the classes in turn, and the queries are of each about as often.

        Raises:
            TasksError: fewer than two classes of the split have that many texts.
        """
        rng = chances(f"labels {split} {number}", self.seed)
        topics = self._pick(rng, split, max(shots, self.room), queries)
        labels = _names(rng, side_for(split), topics)
        instruction = _instruction(rng, side_for(split), labels)

        def example(at: int, text: str) -> Example:
            return Example.pair(instruction + text, labels[at])

        asked = _in_turn(rng, [topic.asked for topic in topics], queries)
        rng.shuffle(asked)
        taken = {text for _, text in asked}
        left = [tuple(text for text in topic.shown if text not in taken) for topic in topics]
        shown = _in_turn(rng, left, shots, first=[at for at, _ in asked])
        return Lesson(tuple(example(*of) for of in shown), tuple(example(*of) for of in asked))

    def told(self) -> str:
        """In a sentence: how many classes each split has, and what was left out."""
        sizes = ", ".join(f"{len(self.topics[split])} for {use}" for use, split in USES.items())
        out = f"; left out: {counted(self.doubtful, 'text')} of several classes" if self.doubtful else ""
        return f"classes: {sizes}{out}"

    def _pick(self, rng: random.Random, split: Split, shots: int, queries: int) -> list[Topic]:
        # The worst that can be drawn is two classes, each of half of the examples.
        fit = [topic for topic in self.topics[split] if topic.has(-(-shots // 2), -(-queries // 2))]
        if len(fit) < 2:
            raise TasksError(
                f"{len(fit)} classes for {split} have {-(-shots // 2)} texts to show and {-(-queries // 2)} more to ask, and 2 are needed: "
                f"{shots} support examples and {queries} queries may all be of two classes. Ask for fewer, or add texts."
            )
        return rng.sample(fit, rng.randint(2, min(_WAYS, len(fit))))


def _split(classes: Mapping[str, tuple[str, ...]]) -> dict[Split, tuple[Topic, ...]]:
    # Each split gets two classes first, as one alone is no choice.
    parts = deal(classes)
    for side in ("validation", "test"):
        if len(parts[side]) < 2:
            name = max(parts["train"])
            parts[side][name] = parts["train"].pop(name)
    kept = {name: tuple(text for text in texts if not held_out(text)) for name, texts in parts["train"].items()}
    near = {name: tuple(text for text in texts if held_out(text)) for name, texts in parts["train"].items()}
    return {
        "train": tuple(Topic(name, texts, texts) for name, texts in kept.items()),
        "near": tuple(Topic(name, near[name], texts) for name, texts in kept.items()),
        "validation": tuple(Topic(name, texts, texts) for name, texts in parts["validation"].items()),
        "test": tuple(Topic(name, texts, texts) for name, texts in parts["test"].items()),
    }


def _names(rng: random.Random, side: Side, topics: Sequence[Topic]) -> list[str]:
    """A name for each class: its own, words of the split, or letters."""
    kind = rng.choice(("own", "words", "letters"))
    if kind == "own":
        return [topic.name for topic in topics]
    if kind == "letters":
        return rng.sample("ABCDEFGHIJKLMNOPQRSTUVWXYZ", len(topics))
    words: dict[str, None] = {}
    while len(words) < len(topics):
        words[draw_word(rng, side)] = None
    return list(words)


def _instruction(rng: random.Random, side: Side, labels: Sequence[str]) -> str:
    """What stands before each text of a task: nothing in half of them."""
    listed = ", ".join(rng.sample(labels, len(labels)))
    return rng.choice(_INSTRUCTIONS[side]).format(listed) + "\n\n" if rng.random() < 1 / 2 else ""


def _in_turn(rng: random.Random, texts: Sequence[Sequence[str]], wanted: int, first: Iterable[int] = ()) -> list[tuple[int, str]]:
    """(class, text), each class once in a random order but for those that come first, then each once more."""
    drawn = [rng.sample(some, len(some)) for some in texts]
    opening = dict.fromkeys([*first, *rng.sample(range(len(drawn)), len(drawn))])
    rounds = chain(opening, (at for _ in count() for at in rng.sample(range(len(drawn)), len(drawn))))
    return [(at, drawn[at].pop()) for at in islice(rounds, wanted)]
