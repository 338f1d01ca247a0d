"""Domains without end, for the toolkits that are trained on: things, people and places, what is done to them, and how that is said.

Whoever has seen thirteen domains answers from what is usual in those; whoever meets another one in every task learns to look.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import final

from headstart.tasks.apis.domains import Action, Argument, Domain, Slot
from headstart.tasks.parts import unlike
from headstart.tasks.words import draw_word

_FORMS = ("{word} NAME", "{word} NAME", "{Word} NAME", "NAME {word}", "{word}-NAME", "NAME of {Word}", "{word}.ENDING")
_ENDINGS = ("pdf", "json", "xml", "mp3", "zip", "html")
_SAID = (
    *("with {w} {{}}", "{w} {{}}", "{{}} {w}", "at a {w} of {{}}", "the {w} being {{}}"),
    *("{w} {{}} / with {{}} as {v}", "by {{}} {w} / of {w} {{}}"),
)
_SAID_OF_FLAGS = (
    "with {w} // without {w}",
    "{w} // {v}",
    "as {w} // as {v}",
    "{w} on // {w} off",
    "so that it is {w} // so that it is {v}",
)
"""What is told beside a head, of any words: whoever has seen all phrases never looks what an example calls by them."""

Beside = tuple[tuple[str, ...], tuple[str, ...]]
"""Phrases and denials, as a slot has them."""


@final
@dataclass(frozen=True)
class _Idea:
    """An argument, and how actions may speak of it."""

    argument: Argument
    beside: tuple[Beside, ...]
    """where it is told beside a head"""
    joins: tuple[str, ...] = ()
    """what leads up to it within a head; none: it stands in no head"""
    articles: tuple[str, ...] = ()
    """what stands before it where something is done to it; none: nothing is"""


def imagine(rng: random.Random) -> Domain:
    """A domain of four to six actions on one or two things, with a person, a place, numbers, choices and flags to tell of them."""
    names = _names(rng)
    things = [_text(next(names), rng) for _ in range(rng.choice((1, 2, 2)))]
    units = rng.sample(sorted(_units()), 2)
    told = [
        _text(rng.choice(_ideas()["places"]), rng),
        _person(rng.choice(_ideas()["people"])),
        *(_number(next(names), unit) for unit in units),
        *(_choice(next(names), rng) for _ in range(2)),
        _Idea(Argument(next(names), "flag"), _phrases("flags")),
    ]
    ideas = [*things, *rng.sample(told, rng.randint(3, 5))]
    verbs = rng.sample(_ideas()["verbs"], rng.randint(4, 6))
    return Domain(things[0].argument.name, tuple(_action(verb, ideas, rng) for verb in verbs))


def _action(verb: str, ideas: Sequence[_Idea], rng: random.Random) -> Action:
    """Something done to a thing, a place or a person, often with one more argument in its head, and one or two told beside it."""
    ways = [draw_word(rng, "train")] if rng.random() < 1 / 4 else verb.split(" / ")
    subject = rng.choice([it for it in ideas if it.articles])
    free = rng.sample([it for it in ideas if it is not subject], len(ideas) - 1)
    needed = [it for it in free if it.joins][: rng.randint(0, 1)]
    beside = [it for it in free if it not in needed][: rng.randint(1, 2)]
    heads = tuple(" ".join((way, _done_to(subject, rng), *(_joined(it, rng) for it in needed))) for way in ways)
    return Action(heads, (*(Slot(it.argument) for it in (subject, *needed)), *(_slot(it, rng) for it in beside)))


def _done_to(it: _Idea, rng: random.Random) -> str:
    return f"{rng.choice(it.articles)}{{{it.argument.name}}}"


def _joined(it: _Idea, rng: random.Random) -> str:
    return f"{rng.choice(it.joins)} {{{it.argument.name}}}"


def _slot(it: _Idea, rng: random.Random) -> Slot:
    """Told beside a head: most often it may be left out."""
    optional = rng.random() < 3 / 4
    return Slot(it.argument, optional, *(rng.choice(it.beside) if rng.random() < 1 / 2 else _invented(it.argument, rng)))


def _invented(argument: Argument, rng: random.Random) -> Beside:
    said, word = rng.choice(_SAID_OF_FLAGS if argument.kind == "flag" else _SAID), draw_word(rng, "train")
    # Yes is never said as no is.
    return _beside(said.format(w=word, v=unlike((word,), lambda: draw_word(rng, "train"))))


def _text(name: str, rng: random.Random) -> _Idea:
    """A text that is of one form, a few of which come again and again."""
    form = rng.choice(_FORMS).replace("NAME", name).replace("ENDING", rng.choice(_ENDINGS))
    usual = [form.format(word=draw_word(rng, "train"), Word=draw_word(rng, "train").capitalize()) for _ in range(rng.randint(0, 3))]
    joins = ("to the", "with the", "from the", "into the", "near the", "for the")
    return _Idea(Argument(name, "text", (*usual, form)), _phrases("things told"), joins, ("", "the ", "the "))


def _person(name: str) -> _Idea:
    return _Idea(Argument(name, "text", ("{Word}",)), _phrases("people told"), ("to", "with", "from", "for"), ("",))


def _number(name: str, unit: str) -> _Idea:
    (low, high), beside = _units()[unit]
    return _Idea(Argument(name, "number", (), low, high, unit), beside, ("to", "by", "at", "for"))


def _choice(name: str, rng: random.Random) -> _Idea:
    """Of a list, or of any words."""
    listed = rng.choice(_ideas()["choices"]).split(" | ")
    options = listed if rng.random() < 1 / 2 else dict.fromkeys(draw_word(rng, "train") for _ in range(rng.randint(3, 5)))
    return _Idea(Argument(name, "choice", tuple(options)), _phrases("ways"), ("as", "to", "in", "with"))


def _names(rng: random.Random) -> Iterator[str]:
    """Names for arguments, none of them twice, nor a place's or a person's: of things, or any word."""
    told = {*_ideas()["places"], *_ideas()["people"]}
    while True:
        name = rng.choice(_ideas()["things"]) if rng.random() < 2 / 3 else draw_word(rng, "train")
        if name not in told:
            told.add(name)
            yield name


@cache
def _ideas() -> Mapping[str, tuple[str, ...]]:
    blocks = (files(__package__) / "ideas.txt").read_text(encoding="utf-8").strip().split("\n\n")
    return {title: tuple(lines) for title, *lines in (block.splitlines() for block in blocks[1:])}


@cache
def _phrases(of: str) -> tuple[Beside, ...]:
    return tuple(_beside(line) for line in _ideas()[of])


def _beside(line: str) -> Beside:
    """Of "a / b", or of "yes // no"."""
    yes, _, no = line.partition(" // ")
    return tuple(yes.split(" / ")), (no,) if no else ()


@cache
def _units() -> Mapping[str, tuple[tuple[int, int], tuple[Beside, ...]]]:
    """Unit -> the numbers that it comes in, and how they are told."""
    found = {}
    for line in _ideas()["numbers"]:
        told, _, phrases = line.partition(": ")
        *unit, numbers = told.split()
        low, high = map(int, numbers.split(".."))
        found[" ".join(unit)] = (low, high), tuple(map(_beside, phrases.split(" | ")))
    return found
