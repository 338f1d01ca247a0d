"""Conventions: how a toolkit names things and writes values. Every option is one split's alone, but for leaving something out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from headstart.tasks.apis.domains import Argument
from headstart.tasks.apis.invented import invent, invent_shape
from headstart.tasks.apis.shapes import SHAPES, Shape
from headstart.tasks.words import Side

T = TypeVar("T")

OPTIONS: Mapping[str, Mapping[Side, tuple[str, ...]]] = {
    "naming": {
        "train": ("snake", "camel", "kebab", "{lib}_{fn}", "{lib}.{fn}"),
        "validation": ("{lib}::{fn}", "{fn}_"),
        "test": ("pascal", "{lib}/{fn}", "@{fn}"),
    },
    "quote": {"train": ("'{}'", '"{}"'), "validation": ("`{}`",), "test": (":{}", "<{}>")},
    "unit": {
        "train": ("{n}", "{n}{short}", "{long}({n})", "{small}"),
        "validation": ("({n}, {long})",),
        "test": ("{n}.{long}", "{n}^{short}"),
    },
    "truth": {"train": ("true false", "True False", "1 0", "yes no"), "validation": ("on off",), "test": ("#t #f", "Y N")},
    "choice": {"train": ("{quoted}", "{upper}", "{kind}.{title}"), "validation": ("{title}",), "test": ("@{lower}", "${upper}")},
    "absent": {"train": ("null", "None"), "validation": ("nil",), "test": ("_", "undefined")},
    "frame": {"train": ("await {}", "run({})"), "validation": (">> {}",), "test": ("do {} end", "$ {}")},
    "stop": {"train": (";",), "validation": ("!",), "test": (" .", ";;")},
}
"""slot -> split -> options"""

_UNITS = {
    "seconds": ("s", "sec", 1000),
    "minutes": ("min", "minute", 60),
    "hours": ("h", "hour", 60),
    "days": ("d", "day", 24),
    "percent": ("pct", "percent", 10),
    "degrees": ("deg", "degree", 100),
    "centimetres": ("cm", "centi", 10),
    "metres": ("m", "metre", 100),
    "metres per second": ("mps", "speed", 100),
    "megabytes": ("MB", "mega", 1000),
    "pixels": ("px", "pixel", 1),
    "kilograms": ("kg", "kilo", 1000),
    "grams": ("g", "gram", 1000),
    "milligrams": ("mg", "milli", 1000),
    "euros": ("eur", "euro", 100),
    "litres": ("l", "litre", 1000),
}
"""unit -> short, long, how many of the next smaller unit it is"""


@dataclass(frozen=True)
class Convention:
    """One option of every slot."""

    shape: Shape
    naming: str
    quote: str
    unit: str
    truth: str
    choice: str
    absent: str
    """'' where an optional argument that is not given is not written either"""
    frame: str
    stop: str

    def literal(self, argument: Argument, kind: str, value: str | int | bool | None) -> str:
        """A value as it is written; `kind` names the argument's type where choices have one."""
        if value is None:
            return self.absent
        if isinstance(value, bool):
            return self.truth.split()[not value]
        if isinstance(value, int):
            return self._number(argument.unit, value)
        if argument.kind == "choice":
            words = {"lower": value, "upper": value.upper(), "title": value.capitalize(), "kind": kind.capitalize()}
            return self.choice.format(**words, quoted=self._text(value))
        return self._text(value)

    def _number(self, unit: str, value: int) -> str:
        if not unit:
            return str(value)
        short, long, small = _UNITS[unit]
        return self.unit.format(n=value, short=short, long=long, small=value * small)

    def _text(self, value: str) -> str:
        return self.quote.format(value.replace(" ", "_") if self.quote.endswith("{}") else value)


def draw_convention(side: Side, rng: random.Random) -> Convention:
    """A convention, every slot drawn independently where the shape allows; three in four of those trained on are invented in part."""
    inventive = side == "train" and rng.random() < 3 / 4
    shape = _shape(inventive, side, rng)
    drawn = {slot: _option(slot, inventive, side, rng) for slot in OPTIONS}
    # A place is the only name that an argument has in some shapes, so there it is kept.
    if shape.named and rng.random() < 2 / 3:
        drawn["absent"] = ""
    drawn["frame"] = drawn["frame"] if rng.random() < 1 / 3 else "{}"
    drawn["stop"] = drawn["stop"] if rng.random() < 1 / 3 else ""
    if not (inventive and _fits(drawn["naming"], shape)):
        drawn["naming"] = rng.choice([naming for naming in OPTIONS["naming"][side] if _fits(naming, shape)])
    convention = Convention(shape, **drawn)
    return _in_json(convention, rng) if shape.json else convention


def _shape(inventive: bool, side: Side, rng: random.Random) -> Shape:
    if not inventive:
        return rng.choice(SHAPES[side])
    shape = invent_shape(_kept(SHAPES), rng) if rng.random() < 1 / 2 else rng.choice(SHAPES[side])
    # An invented value may look like the name of an argument, so names do not tell where one begins.
    return replace(shape, ordered=True)


def _option(slot: str, inventive: bool, side: Side, rng: random.Random) -> str:
    if inventive and rng.random() < 1 / 2:
        return invent(slot, _kept(OPTIONS[slot]), rng)
    return rng.choice(OPTIONS[slot][side])


def _kept(options: Mapping[Side, tuple[T, ...]]) -> tuple[T, ...]:
    return (*options["validation"], *options["test"])


def _fits(naming: str, shape: Shape) -> bool:
    if naming == "kebab":
        return shape.loose or shape.json
    return "{lib}" not in naming or not ("{lib}" in shape.whole or shape.takes_first)


def _in_json(convention: Convention, rng: random.Random) -> Convention:
    choice, unit = rng.choice(("{quoted}", '"{upper}"')), rng.choice(("{n}", "{small}", '"{n}{short}"'))
    absent = convention.absent and "null"
    return replace(convention, quote='"{}"', truth="true false", choice=choice, unit=unit, absent=absent, frame="{}", stop="")
