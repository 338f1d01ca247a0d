"""Meta-training of a language model: families of text tasks, a grafted base, and the job that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

from headstart.errors import SettingsError, nearest
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.recipes.lessons import Form, Lessons
from headstart.settings import Key, keys, refuse
from headstart.tasks.apis import Apis
from headstart.tasks.calls import Calls
from headstart.tasks.collection import Collection, same_words
from headstart.tasks.commands import Commands
from headstart.tasks.family import Family
from headstart.tasks.labels import Labels
from headstart.tasks.mixture import Mixture
from headstart.tasks.sql import Dialects, Engines
from headstart.terms import ALL_LINEAR


@final
@dataclass(frozen=True)
class Shots:
    """How much of a task is seen."""

    shots: int = 10
    """Support examples."""
    queries: int = 4
    """Further examples."""
    form: Form = "chain"
    """How examples are shown. chain: in front of each other, as one conversation. pairs: each alone."""

    def __post_init__(self) -> None:
        counts = {"shots": self.shots, "queries": self.queries}
        refuse(f"tasks.{name} is {count}; 1 or more is wanted." for name, count in counts.items() if count < 1)


@final
@dataclass(frozen=True)
class Bends:
    """A base, and where it is bent."""

    base: str | None = None
    """A Hugging Face id, a folder or a .gguf file. None: the embedded one."""
    target: tuple[str, ...] = (ALL_LINEAR,)
    """Names of linears, as in PEFT."""
    lowest: int | None = None
    """Lowest layer that is bent; it and all above are. None: the upper two thirds."""
    rank: int = 8
    """Of the LoRA."""


@final
@dataclass(frozen=True)
class Kind:
    """One kind of family."""

    make: Callable[[Mapping[str, Any], int], Family]
    """Every key's value, and a seed -> the family."""
    own: tuple[Key, ...] = ()
    """What may be set besides the shots."""
    net: str = "lm"
    """The kind of net."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """What may be set."""
        return (*self.own, *keys(Shots))


@final
@dataclass(frozen=True)
class Files:
    """Tasks that lie in files."""

    data: Path
    """A folder with a file of examples for each task, or a .jsonl or .jsonl.gz file with a task a line."""


def _from_files(read: Callable[..., Family]) -> Kind:
    return Kind(lambda values, seed: read(values["data"], room=values["shots"], seed=seed), tuple(keys(Files)))


@final
@dataclass(frozen=True)
class Several:
    """Families in turns."""

    families: tuple[str, ...]
    """Kinds of tasks, such as "dialects", or "labels=intents.jsonl" for one that lies in files; one named twice comes twice as often."""


SINGLE: Mapping[str, Kind] = {
    "dialects": Kind(lambda _, seed: Dialects(seed)),
    "engines": Kind(lambda _, seed: Engines(seed)),
    "apis": Kind(lambda _, seed: Apis(seed)),
    "texts": _from_files(Collection.read),
    "commands": _from_files(Commands.read),
    "calls": _from_files(Calls.read),
    "labels": _from_files(Labels.read),
    # PROSE's two largest groups, dates and numbers, are trained on under this deal, and its test is the largest of such deals.
    # Where one side of a pair is empty there is nothing to ask or to answer.
    "strings": _from_files(partial(Collection.read, check=same_words, gaps=True, deal=11)),
    # UniMorph's groups are families of languages: a language of the test is not even a cousin of a trained one.
    "inflection": _from_files(partial(Collection.read, check=same_words)),
}
"""Families by name."""


def _mixture(values: Mapping[str, Any], seed: int) -> Mixture:
    refuse(["tasks.families is []; one at least is wanted."] if not values["families"] else [])
    return Mixture({name: _single(name, values, seed) for name in values["families"]}, tuple(values["families"]))


def _single(name: str, values: Mapping[str, Any], seed: int) -> Family:
    """One of several, "kind" or "kind=place"."""
    named, _, place = name.partition("=")
    kind = SINGLE.get(named)
    if kind is None:
        raise SettingsError(f"tasks.families names {named!r}; there are {', '.join(SINGLE)}.{nearest(named, SINGLE)}")
    if bool(kind.own) != bool(place):
        wanted = f'lies in files: "{named}=PLACE"' if kind.own else f'is made up, and lies in no files: "{named}"'
        raise SettingsError(f"tasks.families names {name!r}, which {wanted} is wanted.")
    return kind.make({**values, "data": Path(place)}, seed)


KINDS: Mapping[str, Kind] = {**SINGLE, "mixture": Kind(_mixture, tuple(keys(Several)))}
"""By name."""


def sources(kind: Kind, values: Mapping[str, Any], base: Base, seed: int, whole: bool) -> tuple[Lessons, Lessons]:
    """Lessons for training by the seed, and for validation and test, which are the same for every seed.

    What takes no steps inside a task is judged with the examples in front, however it was trained: alone there is nothing to learn from.
    """
    shots = Shots(**{key.name: values[key.name] for key in keys(Shots)})
    train = Lessons(kind.make(values, seed), base.chat, shots.shots, shots.queries, shots.form, whole)
    return train, replace(train, family=kind.make(values, 0), form="chain" if whole else shots.form, whole=False)


def bent(values: Mapping[str, Any], base: Base) -> Grafted:
    """The net that a base is, with a LoRA at its sites.

    Raises:
        BaseRefused: no such linears.
        SettingsError: the lowest layer is none.
    """
    it, count = Bends(**values), base.layers
    lowest = count // 3 if it.lowest is None else it.lowest
    if not 0 <= lowest < count:
        raise SettingsError(f"net.lowest is {lowest}; the base has layers 0 to {count - 1}.")
    return Grafted(base.model, it.target, range(lowest, count), it.rank)
