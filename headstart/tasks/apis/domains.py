"""What toolkits are about: domains, the actions of each, and the arguments that an action takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from headstart.tasks.splits import deal
from headstart.tasks.words import Side

Kind = Literal["text", "number", "flag", "choice"]


@dataclass(frozen=True)
class Argument:
    """One thing that actions of a domain are told."""

    name: str
    kind: Kind
    options: tuple[str, ...] = ()
    """of a text or a choice; {word} in a text stands for any word of the split"""
    low: int = 0
    high: int = 0
    unit: str = ""
    """of a number; '' counts things"""


@dataclass(frozen=True)
class Slot:
    """An argument of one action, and how a sentence mentions it."""

    argument: Argument
    optional: bool = False
    phrases: tuple[str, ...] = ()
    """with {} for the value; none where the action's heads mention it; of a flag, what says yes"""
    denials: tuple[str, ...] = ()
    """of a flag, what says no"""


@dataclass(frozen=True)
class Action:
    """Something that a toolkit can do: the ways to ask for it, and what it takes."""

    heads: tuple[str, ...]
    """with {name} for each argument that every call has"""
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Domain:
    """Actions that belong together."""

    name: str
    actions: tuple[Action, ...]


@cache
def domains(side: Side) -> tuple[Domain, ...]:
    """The domains of a split: thirteen train, three validate, four test."""
    return tuple(deal(_read())[side].values())


def _read() -> Mapping[str, Domain]:
    blocks = (files(__package__) / "domains.txt").read_text(encoding="utf-8").strip().split("\n\n")
    return {domain.name: domain for domain in map(_domain, blocks[1:])}


def _domain(block: str) -> Domain:
    name, *lines = block.splitlines()
    arguments = {a.name: a for a in (_argument(*line.split(" = ")) for line in lines if not line.startswith("- "))}
    return Domain(name, tuple(_action(line[2:], arguments) for line in lines if line.startswith("- ")))


def _argument(name: str, text: str) -> Argument:
    if text == "yes or no":
        return Argument(name, "flag")
    if number := re.fullmatch(r"(\d+)\.\.(\d+) ?(.*)", text):
        return Argument(name, "number", (), int(number[1]), int(number[2]), number[3])
    return Argument(name, "choice", tuple(text.split(" | "))) if "|" in text else Argument(name, "text", tuple(text.split(", ")))


def _action(line: str, arguments: Mapping[str, Argument]) -> Action:
    heads, *rest = line.split("; ")
    named = [Slot(arguments[name]) for name in dict.fromkeys(re.findall(r"{(\w+)}", heads))]
    return Action(tuple(heads.split(" / ")), (*named, *(_slot(text, arguments) for text in rest)))


def _slot(text: str, arguments: Mapping[str, Argument]) -> Slot:
    name, phrases = text.split(": ", 1)
    yes, _, no = phrases.partition(" // ")
    return Slot(arguments[name.removesuffix("?")], name.endswith("?"), tuple(yes.split(" / ")), tuple(no.split(" / ")) if no else ())
