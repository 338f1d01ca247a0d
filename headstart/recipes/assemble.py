"""A config as a whole: every key's value, everything wrong with it at once, and the job that it asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, final

import torch

from headstart import toml
from headstart.bank import Weights
from headstart.errors import SettingsError, nearest
from headstart.learners.learner import Learner
from headstart.learners.one_by_one import OneByOne
from headstart.lm.load import Base
from headstart.recipes import embedded, filing, methods, nets, sources, spoken
from headstart.recipes.papers import PAPERS, Advice
from headstart.recipes.sources import Shape
from headstart.settings import Key, keys, override, refuse, values_of
from headstart.tasks.progress import Progress, silent
from headstart.terms import counted
from headstart.train.job import Job
from headstart.train.meta import Watch
from headstart.train.outer import Outer
from headstart.train.place import Place
from headstart.train.recorded import Recorded


@final
@dataclass(frozen=True)
class Top:
    """What belongs to no table."""

    seed: int = 0
    """Of the first weights and of the training tasks; validation and test tasks are the same for every seed."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: on a GPU if there is one."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of weights and tasks."""
    workers: int = 0
    """Processes that draw training tasks ahead, where a GPU learns faster than one can draw; 0: none. They change nothing else."""
    recorded: bool = False
    """On a GPU: record the first meta-step of maml, fomaml or reptile on a small net and play it back, faster and to the bit the same."""
    begin: str | None = None
    """Where to begin: a run, by folder or name, or for a language model a start or an adapter. What it lacks is fresh. None: all is."""


@final
@dataclass(frozen=True)
class Settled:
    """A config in which every key has a value."""

    tables: Mapping[str, Mapping[str, Any]]
    """Table -> key -> value; the keys that belong to no table are in ""."""
    known: Mapping[str, list[Key]]
    """The same tables' keys."""

    @property
    def tasks(self) -> str:
        """The kind of tasks."""
        return str(self.tables["tasks"]["kind"])

    @property
    def learner(self) -> str:
        """The kind of learner."""
        return str(self.tables["learner"]["kind"])

    @property
    def net(self) -> str:
        """The kind of net."""
        return str(self.tables["net"]["kind"])

    @property
    def texts(self) -> bool:
        """Whether the net is a language model, so that a base has to be loaded for it."""
        return nets.KINDS[self.net].texts

    @property
    def place(self) -> Place:
        """Where to compute; of several processes on one machine each has a GPU of its own."""
        wanted, dtype = self.tables[""]["device"], {"float32": torch.float32, "float64": torch.float64}[self.tables[""]["dtype"]]
        if wanted == "cuda" and not torch.cuda.is_available():
            raise SettingsError('device is "cuda", and torch sees no GPU here: choose "cpu", or look at `nvidia-smi`.')
        if wanted == "cpu" or not torch.cuda.is_available():
            return Place(torch.device("cpu"), dtype)
        return Place(torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))), dtype)

    def toml(self) -> str:
        """As a config file, each key under its meaning."""
        tables = {**self.tables[""], **{name: table for name, table in self.tables.items() if name}}
        return toml.write(tables, {path: key.meaning for path, key in self._named()})

    def defaults(self) -> dict[str, Any]:
        """ "key" or "table.key" -> what it is where nobody sets it, for those that need not be set."""
        return {path: _as_read(key.default) for path, key in self._named() if key.default not in (None, MISSING)}

    def _named(self) -> list[tuple[str, Key]]:
        return [(f"{table}.{key.name}" if table else key.name, key) for table, known in self.known.items() for key in known]


def _as_read(value: Any) -> Any:
    """As a config file has it."""
    return list(map(_as_read, value)) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def settle(table: Mapping[str, Any]) -> Settled:
    """Every key's value, from a config, from the paper of its learner, or by default.

    Raises:
        SettingsError: unknown tables, kinds and keys, wrong types, missing values: all at once.
    """
    wrong = [
        f"{name} is no table here.{nearest(name, _TABLES)}"
        for name, value in table.items()
        if isinstance(value, Mapping) and name not in _TABLES
    ]
    wrong += [
        f"{name} is {table[name]!r}; a table is wanted, such as {name}.kind."
        for name in _TABLES
        if not isinstance(table.get(name, {}), Mapping)
    ]
    refuse(wrong)
    given = {name: dict(table.get(name, {})) for name in _TABLES}
    given[""] = {name: value for name, value in table.items() if name not in _TABLES}
    wrong += _wrong_kinds(given)
    known = _keys(given)
    for advice in _advised(given):
        given = _taken(advice, given, known)
    values: dict[str, Mapping[str, Any]] = {}
    for name in ("", *_TABLES):
        # Where the kind is wrong nobody knows its keys.
        if name in known:
            values[name], more = values_of(known[name], given[name], name)
            wrong += more
    wrong += [] if wrong else _out_of_range(values)
    refuse(wrong or _mismatched(values))
    settled = Settled(values, known)
    if values[""]["recorded"] and (settled.texts or settled.place.device.type != "cuda"):
        raise SettingsError("recorded is true, which is for small nets on a GPU: leave it out here.")
    return settled


def assemble(settled: Settled, base: Base | None = None, progress: Progress = silent, given: Weights | None = None) -> Job:
    """The job that a config asks for.

    Args:
        settled: every key's value.
        base: the loaded base of its net, where `settled.texts`.
        progress: told how far reading the tasks is.
        given: weights to begin from, as far as they go.

    Raises:
        TasksError: the tasks cannot be read.
        SettingsError: values that do not go together.
    """
    tables, kind = settled.tables, methods.KINDS[settled.learner]
    values = {name: {key: value for key, value in table.items() if key != "kind"} for name, table in tables.items()}
    seed, workers = tables[""]["seed"], tables[""]["workers"]
    watch, outer = Watch(**values["evaluate"]), Outer(**values["outer"])
    # Tasks go where the base is.
    place = settled.place if base is None else replace(settled.place, device=base.model.device)
    if base is not None and settled.tasks in spoken.KINDS:
        learner = kind.make(values["learner"], spoken.bent(values["net"], base), Shape((), 0, 0))
        lessons = spoken.sources(spoken.KINDS[settled.tasks], values["tasks"], base, seed, kind.whole)
        sources.draw_each(*lessons, len(tables["tasks"].get("families", ".")))
        read = filing.of_family(settled.tasks, tables["tasks"].get("data"), lessons[1].family, lessons[1].shots, lessons[1].queries)
        return Job(learner, _trials(learner, watch), *lessons, outer, watch, seed, place, workers, given or {}, read)
    doubtful = 0
    if base is not None:
        (train, held), doubtful = embedded.sources(values["tasks"], base, seed)
    else:
        train, held = sources.KINDS[settled.tasks].make(values["tasks"], seed, progress)
    sources.draw_each(train, held, 1)
    seen, judged = Shape.of(train.draw("train", 0, 1)), Shape.of(held.draw("validation", 0, 1))
    if kind.head and seen.outputs != judged.outputs:
        raise SettingsError(
            f"{settled.learner} learns weights for each of {seen.outputs} classes, and tasks are judged with {judged.outputs}: leave "
            "tasks.train_ways out."
        )
    outputs = judged.outputs if kind.head else None
    net = embedded.bent(values["net"], base) if base else nets.made(settled.net, values["net"], judged.inputs, outputs)
    shape = replace(judged, shots=max(seen.shots, judged.shots), outputs=max(seen.outputs, judged.outputs))
    learner = kind.make(values["learner"], net, shape)
    if values["net"].get("fixed"):
        refuse(nets.fixed_in_vain(settled.learner, learner.begin(seed), kind.head, given or {}))
    trained = Recorded(learner) if tables[""]["recorded"] else learner
    read = filing.of_classes(
        settled.tasks,
        tables["tasks"].get("data"),
        held,
        (f"left out: {counted(doubtful, 'text')} of several labels",) if doubtful else (),
    )
    return Job(trained, _trials(learner, watch), train, held, outer, watch, seed, place, workers, given or {}, read)


_TABLES = ("tasks", "net", "learner", "outer", "evaluate")
SOURCES: Mapping[str, sources.Kind | spoken.Kind | embedded.Kind] = {**sources.KINDS, **spoken.KINDS, **embedded.KINDS}
"""Every kind of tasks."""


def _out_of_range(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is told before a base is loaded, and what no class of its own looks after."""
    (seed, workers), rank = (values[""][name] for name in ("seed", "workers")), values["net"].get("rank", 1)
    wrong = [f"workers is {workers}; 0 or more is wanted."] if workers < 0 else []
    wrong += [f"net.rank is {rank}; 1 or more is wanted."] if rank < 1 else []
    return wrong + ([] if abs(seed) < 1 << 63 else [f"seed is {seed}; less than 2 to the power of 63 is wanted."])


def _mismatched(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A language model reads texts and only learners that take any net can bend it."""
    tasks, net, learner = (str(values[name]["kind"]) for name in ("tasks", "net", "learner"))
    if tasks in spoken.KINDS and not methods.KINDS[learner].texts:
        those = ", ".join(name for name, kind in methods.KINDS.items() if kind.texts)
        return [f"learner.kind is {learner!r}, which cannot bend a language model; {those} can."]
    if tasks in spoken.KINDS and values["evaluate"]["alone"]:
        return ["evaluate.alone is true, and a language model is asked each question alone anyway: leave it out."]
    if tasks in embedded.KINDS and learner not in embedded.LEARNERS:
        return [f"learner.kind is {learner!r}, and labelled texts are learnt from features alone; {', '.join(embedded.LEARNERS)} can."]
    wanted = SOURCES[tasks].net
    if wanted != net and any(nets.KINDS[name].texts for name in (wanted, net)):
        return [f"tasks.kind is {tasks!r} and net.kind {net!r}: these tasks are read by '{wanted}'; leave net.kind out."]
    # Waves alone are judged by an error.
    if tasks != "sine" and (values["evaluate"]["target"] or 0) > 1:
        return [f"evaluate.target is {values['evaluate']['target']:g}; a share of 1 is wanted, such as 0.95."]
    if values["net"].get("fixed") and values["outer"]["decay"]:
        return [f"net.fixed is true and outer.decay {values['outer']['decay']:g}, which would shrink the net: leave one out."]
    if tasks not in spoken.KINDS and methods.KINDS[learner].whole:
        return [f"learner.kind is {learner!r}, which learns from texts, and {tasks!r} are none."]
    return []


def _wrong_kinds(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    wrong = []
    for name, kinds, needed in (("tasks", SOURCES, True), ("net", nets.KINDS, False), ("learner", methods.KINDS, True)):
        kind = given[name].get("kind")
        if kind is None and needed:
            wrong.append(f"{name}.kind is missing; there are {', '.join(kinds)}.")
        elif kind is not None and not (isinstance(kind, str) and kind in kinds):
            wrong.append(f"{name}.kind is {kind!r}; there are {', '.join(kinds)}.{nearest(str(kind), kinds)}")
    return wrong


def _keys(given: dict[str, dict[str, Any]]) -> dict[str, list[Key]]:
    """What may be set in each table, as far as its kind is known; a net's kind follows from the others'."""
    tasks, learner = SOURCES.get(str(given["tasks"].get("kind"))), methods.KINDS.get(str(given["learner"].get("kind")))
    if given["net"].get("kind") is None and tasks and learner:
        given["net"]["kind"] = tasks.net if nets.KINDS[tasks.net].texts else learner.net or tasks.net
    net = nets.KINDS.get(str(given["net"].get("kind")))
    known = {"": keys(Top), "outer": keys(Outer), "evaluate": keys(Watch)}
    kinds = (("tasks", SOURCES, tasks), ("net", nets.KINDS, net), ("learner", methods.KINDS, learner))
    return known | {name: [_kind(kinds_there), *kind.keys] for name, kinds_there, kind in kinds if kind}


def _kind(kinds: Mapping[str, Any]) -> Key:
    return Key("kind", str, None, f"One of {', '.join(kinds)}.")


def _advised(given: Mapping[str, Mapping[str, Any]]) -> tuple[Advice, ...]:
    """What the paper of the learner sets; what it says of both learner and tasks goes before what it says of the learner."""
    tasks, learner = str(given["tasks"].get("kind")), str(given["learner"].get("kind"))
    return (*PAPERS.get((tasks, learner), ()), *(methods.KINDS[learner].suggests if learner in methods.KINDS else ()))


def _taken(advice: Advice, given: dict[str, Any], known: Mapping[str, list[Key]]) -> dict[str, Any]:
    """The settings with advice, where it is of use, on what is not set."""
    defaults = {f"{name}.{key.name}": key.default for name, keys in known.items() for key in keys}

    def now(path: str) -> Any:
        table, _, name = path.partition(".")
        found = given[table].get(name)
        return defaults.get(path) if found is None else found

    if any(now(path) != value for path, value in advice.where.items()):
        return given
    return override(given, [(path, value) for path, value in advice.values.items() if path in defaults and not _is_set(given, path)])


def _is_set(given: Mapping[str, Mapping[str, Any]], path: str) -> bool:
    table, _, name = path.partition(".")
    return name in given[table]


def _trials(learner: Learner, watch: Watch) -> dict[str, Learner]:
    """Each step count that is to be scored, and each asked one query at a time where that is wanted; the last is validation's."""
    if not watch.steps:
        found = {"as trained": learner}
    elif any(f.name == "steps" for f in fields(learner)):  # type: ignore[arg-type]
        found = {f"{steps} steps": replace(learner, steps=steps) for steps in watch.steps}  # type: ignore[type-var]
    else:
        raise SettingsError("evaluate.steps asks for numbers of inner steps, and this learner makes none: leave it out.")
    alone = {f"{name}, asked alone": OneByOne(trial) for name, trial in found.items()} if watch.alone else {}
    return alone | found
