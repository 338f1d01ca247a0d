"""Domains without end, for the toolkits that are trained on: things, people and places, what is done to them, and how that is said.

Whoever has seen thirteen domains answers from what is usual in those; whoever meets another one in every task learns to look.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from headstart.tasks.apis.domains import Action, Argument, Domain, Slot
from headstart.tasks.words import draw_word

_FORMS = ("{word} NAME", "{word} NAME", "{Word} NAME", "NAME {word}", "{word}-NAME", "NAME of {Word}", "{word}.{EXT}")
_ENDINGS = ("pdf", "json", "xml", "mp3", "zip", "html")
_PERSON = ("{Word}",)
_JOINS: Mapping[str, tuple[str, ...]] = {
    "text": ("to the", "with the", "from the", "into the", "near the", "for the"),
    "person": ("to", "with", "from", "for"),
    "number": ("to", "by", "at", "for"),
    "choice": ("as", "to", "in", "with"),
}


def imagine(rng: random.Random) -> Domain:
    """A domain of four to six actions on one or two things, with a person, a place, numbers, choices and flags to tell of them."""
    names = _names(rng)
    things = [_text(next(names), rng) for _ in range(rng.choice((1, 2, 2)))]
    units = rng.sample(sorted(_units()), 2)
    told = [
        _text(_one("places", rng), rng),
        Argument(_one("people", rng), "text", _PERSON),
        *(Argument(next(names), "number", (), *_units()[unit][0], unit) for unit in units),
        *(Argument(next(names), "choice", _choice(rng)) for _ in range(2)),
        Argument(next(names), "flag"),
    ]
    told = rng.sample(told, rng.randint(3, 5))
    verbs = rng.sample(_ideas()["verbs"], 6)
    return Domain(things[0].name, tuple(_action(verb, things, told, rng) for verb in verbs[: rng.randint(4, 6)]))


def _action(verb: str, things: Sequence[Argument], told: Sequence[Argument], rng: random.Random) -> Action:
    """Something done to a thing, often with one more argument in its head, and one or two that are told beside it."""
    ways = [draw_word(rng, "train")] if rng.random() < 1 / 4 else verb.split(" / ")
    subject, *free = rng.sample([*things, *told], len(things) + len(told))
    if subject.kind != "text":
        subject, free = things[0], [it for it in [subject, *free] if it != things[0]]
    needed = [it for it in free if it.kind != "flag"][: rng.randint(0, 1)]
    heads = tuple(f"{way} {_named(subject, rng)}" + "".join(f" {_joined(it, rng)}" for it in needed) for way in ways)
    beside = [it for it in free if it not in needed][: rng.randint(1, 2)]
    return Action(heads, (Slot(subject), *map(Slot, needed), *(_slot(it, rng) for it in beside)))


def _named(argument: Argument, rng: random.Random) -> str:
    plain = argument.options == _PERSON or rng.random() < 1 / 3
    return f"{{{argument.name}}}" if plain else f"the {{{argument.name}}}"


def _joined(argument: Argument, rng: random.Random) -> str:
    return f"{rng.choice(_JOINS['person' if argument.options == _PERSON else argument.kind])} {{{argument.name}}}"


def _slot(argument: Argument, rng: random.Random) -> Slot:
    """The argument told beside a head: most often it may be left out."""
    optional = rng.random() < 3 / 4
    if argument.kind == "flag":
        yes, no = _one("flags", rng).split(" // ")
        return Slot(argument, optional, (yes,), (no,))
    if argument.kind == "number":
        return Slot(argument, optional, rng.choice(_units()[argument.unit][1]))
    told = "ways" if argument.kind == "choice" else "people told" if argument.options == _PERSON else "things told"
    return Slot(argument, optional, tuple(_one(told, rng).split(" / ")))


def _text(name: str, rng: random.Random) -> Argument:
    """A text that is of one form, a few of which come again and again."""
    form = rng.choice(_FORMS).replace("NAME", name).replace("{EXT}", rng.choice(_ENDINGS))
    usual = [form.format(word=draw_word(rng, "train"), Word=draw_word(rng, "train").capitalize()) for _ in range(rng.randint(0, 3))]
    return Argument(name, "text", (*usual, form))


def _choice(rng: random.Random) -> tuple[str, ...]:
    if rng.random() < 1 / 2:
        return tuple(_one("choices", rng).split(" | "))
    return tuple(dict.fromkeys(draw_word(rng, "train") for _ in range(rng.randint(3, 5))))


def _names(rng: random.Random) -> Iterator[str]:
    """Names for arguments, none of them twice: of things, or any word."""
    told = {*_ideas()["places"], *_ideas()["people"]}
    while True:
        name = _one("things", rng) if rng.random() < 2 / 3 else draw_word(rng, "train")
        if name not in told:
            told.add(name)
            yield name


def _one(of: str, rng: random.Random) -> str:
    return rng.choice(_ideas()[of])


@cache
def _ideas() -> Mapping[str, tuple[str, ...]]:
    blocks = (files(__package__) / "ideas.txt").read_text(encoding="utf-8").strip().split("\n\n")
    return {block.splitlines()[0]: tuple(block.splitlines()[1:]) for block in blocks[1:]}


@cache
def _units() -> Mapping[str, tuple[tuple[int, int], tuple[tuple[str, ...], ...]]]:
    """Unit -> the numbers that it comes in, and how they are told: each with other words for the same."""
    found = {}
    for line in _ideas()["numbers"]:
        told, _, phrases = line.partition(": ")
        *unit, numbers = told.split()
        low, high = map(int, numbers.split(".."))
        found[" ".join(unit)] = (low, high), tuple(tuple(each.split(" / ")) for each in phrases.split(" | "))
    return found
