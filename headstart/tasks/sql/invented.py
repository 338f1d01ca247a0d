"""Invented notation for the dialects that are trained on: templates without end, as holes `A`, `B` and `K` of `options` have them.

Whoever has seen four kinds of quotes learns those four; whoever meets another kind in every dialect learns to look. What validation and
test keep for themselves is never invented.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from headstart.tasks.parts import MARKS, Parts, unlike
from headstart.tasks.sql import options
from headstart.tasks.sql.options import Options
from headstart.tasks.words import Side

SHARE = 0.6
"""Of the options of a training dialect so many are invented."""
# A dollar sign would make holes of the words behind it.
_MARKS = tuple(mark for mark in MARKS if mark != "$")
_LATER = ("join", "where", "group", "order", "limit")


def option(slot: str, rng: random.Random, wanted: Side) -> str:
    """A template for a slot of a dialect: for training often an invented one.

    Args:
        slot: a name in `options`, such as QUOTE.
        rng: for validation and test it is asked what it is asked without inventions, so their dialects stay what they are.
        wanted: whose dialect.
    """
    return _drawn(getattr(options, slot), rng, wanted, lambda: rng.choice(_TEMPLATES[slot]).format_map(Parts(rng, _MARKS)))


def symbol(rng: random.Random, wanted: Side) -> str:
    """A keyword that is no word, each split's own."""
    return _drawn(options.SYMBOLS, rng, wanted, lambda: rng.choice(_MARKS) + rng.choice(("", *_MARKS)), own=1.0)


def order(rng: random.Random, wanted: Side) -> str:
    """Clauses in their order; the first one is in every query."""
    return _drawn(options.ORDERS, rng, wanted, lambda: _shuffled(rng))


def _drawn(listed: Options, rng: random.Random, wanted: Side, invent: Callable[[], str], own: float = 0.5) -> str:
    if wanted != "train" or rng.random() >= SHARE:
        return listed.draw(rng, wanted, own)
    return unlike({*listed.validation, *listed.test}, invent)


def _shuffled(rng: random.Random) -> str:
    first, other = rng.sample(("head", "source"), 2)
    return " ".join([first, *rng.sample((other, *_LATER), len(_LATER) + 1)])


_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "CLAUSE": (
        *("$K $A", "$K{o}$A{c}", "$K {o}$A{c}", "{o}$K $A{c}", "{m}$K $A", "$K{m} $A", "$K {m} $A", "$K{m}$A", "{m}$K{o}$A{c}"),
        *("{o}$K{c} $A", "{o}$A{c} $K", "$A {m} $K", "$A {m}$K"),
    ),
    "TEST": (
        *("$A $K $B", "$A {o}$K{c} $B", "$A{m}$K{m}$B", "$A {m}$K $B", "$A $K{m} $B", "$A $K{o}$B{c}", "$K{o}$A{m} $B{c}"),
        *("{o}$A $K $B{c}", "{o}$K{c} $A $B", "$K $B {m} $A", "$A{m} $K $B"),
    ),
    "FOLD": ("$K{o}$A{c}", "$A{m}$K", "$K{m}$A", "{o}$K $A{c}", "{o}$A{c} $K", "$K {m} $A", "$A $K"),
    "COUNT": ("$K", "{m}$K", "$K{m}", "{o}$K{c}", "$K {m}"),
    "SPAN": ("$A{m}$B", "$A {m} $B", "{o}$A, $B{c}", "{o}$A $B{c}", "$A {w} $B", "{o}$A {m} $B{c}"),
    "MANY": ("$A {m} $B", "{o}$A, $B{c}", "{o}$A $B{c}", "{o}$A{m} $B{c}", "$A {w} $B"),
    "QUOTE": ("{m}$A", "{m}$A{m}", "{o}$A{c}", "$A{m}", "{w}{o}$A{c}", '{m}"$A"', "'$A'"),
    "COLUMN": ("$A", "$A", "$A", "{m}$A", "$A{m}", "{o}$A{c}", "{m}$A{m}", "{w}.$A"),
    "TABLE": ("$A", "$A", "$A", "{m}$A", "$A{m}", "{o}$A{c}", "{w}.$A", "{w}{m}$A"),
    "BETWEEN": (" ", " {m} ", " {m}{m} ", "{m} ", " {w} ", "\n", "\n{m} "),
    "LIST": (" {m} ", "{m} ", "{m}", " {w} "),
    "END": ("", "{m}", " {m}", " {w}", " {m}{m}"),
}
