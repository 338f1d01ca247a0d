"""Toolkits: a convention, with names of its own for some actions of a domain."""

from __future__ import annotations

import keyword
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headstart.tasks.apis.calls import Call
from headstart.tasks.apis.conventions import Convention, draw_convention
from headstart.tasks.apis.domains import Action, Argument, domains
from headstart.tasks.apis.imagined import imagine
from headstart.tasks.words import Side, draw_word, side_of

IMAGINED = 3 / 4
"""Of the toolkits that are trained on, so many are of a domain made up for them."""
_SAYS = ("Using {}: ", "With {}, ", "{}: ")


@dataclass(frozen=True)
class Function:
    """An action as a toolkit offers it."""

    action: Action
    name: str
    """as it is called"""
    order: tuple[int, ...]
    """of the action's slots"""


@dataclass(frozen=True)
class Toolkit:
    """What a task is about: everything that its examples teach."""

    name: str
    end: str
    """the word that closes a call, in shapes that have one"""
    convention: Convention
    functions: tuple[Function, ...]
    names: tuple[tuple[str, str], ...]
    """an argument of the domain -> what the toolkit calls it"""
    opening: str
    """what every instruction begins with; mostly nothing"""

    def write(self, call: Call) -> str:
        """The call's text."""
        function = next(f for f in self.functions if f.action == call.action)
        convention = self.convention
        pairs = [(call.action.slots[i].argument, call.values[i]) for i in function.order]
        called = dict(self.names)
        written = [(called[a.name], convention.literal(a, called[a.name], value)) for a, value in pairs]
        words = {"fn": function.name, "lib": self.name.capitalize(), "end": self.end}
        return convention.frame.format(convention.shape.write(words, [pair for pair in written if pair[1]])) + convention.stop


def draw_toolkit(side: Side, rng: random.Random) -> Toolkit:
    """A toolkit of at least four of a domain's actions, every name of which is of the split."""
    domain = imagine(rng) if side == "train" and rng.random() < IMAGINED else rng.choice(domains(side))
    actions = rng.sample(domain.actions, rng.randint(4, len(domain.actions)))
    convention = draw_convention(side, rng)
    fresh = _words(side, rng)
    name, end = next(fresh), next(fresh)
    arguments: dict[str, Argument] = {slot.argument.name: slot.argument for action in actions for slot in action.slots}
    names = tuple((argument, _related((argument,), side, rng) or next(fresh)) for argument in arguments)
    taken = {name, end, *(called for _, called in names)}
    functions, rule = [], rng.choice(("as told", "backwards", "by name", "any"))
    for action in actions:
        words = _function_words(action, side, rng, fresh, taken)
        taken.add(words[0])
        functions.append(Function(action, _named(convention.naming, words, name), _order(action, rule, convention, dict(names), rng)))
    opening = rng.choice(_SAYS).format(name) if rng.random() < 1 / 6 else ""
    return Toolkit(name, end, convention, tuple(functions), names, opening)


def _words(side: Side, rng: random.Random) -> Iterator[str]:
    """Words of a split that no language keeps for itself, none of them twice."""
    told: set[str] = set()
    while True:
        word = draw_word(rng, side)
        if word not in told and not keyword.iskeyword(word):
            told.add(word)
            yield word


def _related(words: Iterable[str], side: Side, rng: random.Random) -> str:
    """One in three times one of some real words, if the split has any; else nothing."""
    mine = [word for word in words if len(word) > 2 and side_of(word) == side and not keyword.iskeyword(word)]
    return rng.choice(mine) if mine and rng.random() < 1 / 3 else ""


def _function_words(action: Action, side: Side, rng: random.Random, fresh: Iterator[str], taken: set[str]) -> tuple[str, ...]:
    verbs = [head.split()[0] for head in action.heads]
    first = _related((verb for verb in verbs if verb not in taken), side, rng) or next(word for word in fresh if word not in taken)
    return (first, next(fresh)) if rng.random() < 1 / 2 else (first,)


def _named(naming: str, words: tuple[str, ...], toolkit: str) -> str:
    plain = {"kebab": "-".join(words), "pascal": "".join(word.capitalize() for word in words)}
    camel = words[0] + "".join(word.capitalize() for word in words[1:])
    snake = "_".join(words)
    return plain.get(naming) or (camel if naming == "camel" else snake if naming == "snake" else naming.format(lib=toolkit, fn=snake))


def _order(action: Action, rule: str, convention: Convention, names: dict[str, str], rng: random.Random) -> tuple[int, ...]:
    order = list(range(len(action.slots)))
    if rule == "any":
        rng.shuffle(order)
    order = order[::-1] if rule == "backwards" else order
    if rule == "by name":
        order.sort(key=lambda i: names[action.slots[i].argument.name])
    if convention.shape.takes_first:
        # What stands apart is given in every call.
        order.sort(key=lambda i: action.slots[i].optional)
    return tuple(order)
