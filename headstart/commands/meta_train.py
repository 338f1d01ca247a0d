"""`headstart meta-train`: a learner of tasks from many tasks, in a run folder that can be gone on with."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from headstart import disk, screen, toml
from headstart.adapters.keep import versions
from headstart.adapters.starts import KIND, Starts
from headstart.adapters.store import Shelf
from headstart.adapters.wear import graft_for, key_of
from headstart.bank import Weights
from headstart.commands.beginning import begun, facts, place_of, refuse_seen
from headstart.commands.opening import open_base
from headstart.config import home
from headstart.errors import NameRefused, SettingsError
from headstart.learners.parts import part
from headstart.lm.load import Base
from headstart.recipes import spoken
from headstart.recipes.assemble import SOURCES, Settled, assemble, settle
from headstart.recipes.tune import tune
from headstart.settings import override, pair
from headstart.tasks.folder import SUFFIXES
from headstart.terms import PIECE, counted
from headstart.train.filed import marks
from headstart.train.job import Job, carry_out, stopped
from headstart.train.meta import State
from headstart.train.run import learned_in, sides_in, stands
from headstart.train.spread import Team, join

EMBEDDING = "embedding"
"""What `headstart.json` of features of texts says that they are."""
TUNED_ON = (3, 8)
"""Validation tasks, and queries of each, on which a start's steps and rate are chosen: fewest, and most where a pass holds so many."""


def run(words: Sequence[str], options: Mapping[str, Any], out: Path | None, fresh: bool, only_print: bool, as_json: bool) -> None:
    """Settle, assemble, carry out, tell.

    Args:
        words: a config file, or none, and `key=value`s.
        options: key -> value, None where it was not given; a `key=value` goes before an option, and an option before the file.
        out: the run's folder.
        fresh: start over.
        only_print: print the settings and stop.
        as_json: print what `result.json` says.
    """
    file, pairs = _read(words)
    settled = settle(override(toml.read(file) if file else {}, [*_given(options), *pairs]))
    if only_print:
        sys.stdout.write(settled.toml())
        return
    folder = out or home() / "runs" / (file.stem if file else f"{settled.tasks}-{settled.learner}")
    if settled.texts:
        _check_name(folder.resolve().name)
    with join(settled.place.device) as team:
        # A run that goes on has in its checkpoint what it was begun with: where that came from may be gone.
        goes_on = not fresh and team.first(lambda: b"yes" if stands(folder) else b"")
        place = None if goes_on else place_of(settled, folder)
        spoken_to = settled.tasks in spoken.KINDS
        base = open_base(settled.tables["net"]["base"], device=settled.place.device, asked=spoken_to) if settled.texts else None
        given = begun(place, settled, base)
        job = _assembled(settled, base, team, given)
        refuse_seen(place, job)
        came = [f"begins from '{place}'"] if place else []
        for line in (*came, *job.read.told) if team.rank == 0 else ():
            screen.warn(line)
        with screen.training(job.outer.steps) if team.rank == 0 else nullcontext(lambda *_: None) as show:
            bent, told = facts(base, given), lambda state: show(state.step, _remark(state))
            result = carry_out(job, folder, settled.toml(), fresh, team, told, base=bent, absent=settled.defaults())
        if team.rank == 0:
            if base is not None:
                keep_what = keep_start if spoken_to else keep_embedding
                try:
                    result = result | keep_what(base, folder, settled, _learned(base, folder), result)
                except KeyboardInterrupt as stop:
                    raise stopped(result["steps"], job.outer, folder) from stop
            screen.emit(result) if as_json else _show(result)


def _check_name(name: str) -> None:
    """Before hours are spent: what a run leaves is called as its folder is, and takes nobody's place but an earlier run's.

    Raises:
        NameRefused: no name for a start or an adapter, or an adapter that was taught has it.
    """
    shelf = Shelf()
    if shelf.named(name).exists() and shelf.record(name).get("kind") != EMBEDDING:
        raise NameRefused(f"The run's folder is called '{name}', and so is an adapter on the shelf: give another --out.")


def keep_start(base: Base, folder: Path, settled: Settled, weights: Weights, result: Mapping[str, Any]) -> dict[str, Any]:
    """The best weights of a language model's run as a start of the folder's name, with steps and rate chosen on validation tasks."""
    name = folder.resolve().name
    family = spoken.KINDS[settled.tasks].make(settled.tables["tasks"], 0)
    shots = settled.tables["tasks"]["shots"]
    # A pass of training held so many conversations, so there is memory for as many.
    net, together = graft_for(base, name, weights), int(settled.tables["learner"].get("together", 1))
    tasks = max(TUNED_ON[0], min(TUNED_ON[1], together))
    # No more than training asked: the files may hold no others.
    queries = min(tasks, settled.tables["tasks"]["queries"])
    # Whoever takes turns is asked too.
    tasks = max(tasks, len(settled.tables["tasks"].get("families", ())))
    with screen.progress() as tell:
        lessons = [family.lesson("validation", number, shots, queries) for number in range(tasks)]
        tried = tune(
            net, base.chat, weights, lessons, lambda i, n: tell("choosing steps and rate on validation tasks", i, n), PIECE * together
        )
    best = min(tried, key=lambda recipe: tried[recipe])
    if settled.learner == "lslr":
        screen.warn("The step sizes that were learned stay in the run: a start is stepped on by Adam, as suits it on validation tasks.")
    record = {
        "kind": KIND,
        "base": asdict(key_of(base)),
        "about": _about(settled),
        "by": _by(settled),
        "meta_steps": result["steps"],
        "seconds": result["seconds"],
        "score": result["score"],
        "steps": best.steps,
        "rate": best.rate,
        "tried": [{"steps": recipe.steps, "rate": recipe.rate, "loss": loss} for recipe, loss in tried.items()],
        **_dealt(folder),
        "versions": versions(),
    }
    path = Starts().own.write(name, weights, record, base.layers, replace=True)
    return {"start": name, "start_path": str(path), "start_bytes": disk.size(path), "start_steps": best.steps, "start_rate": best.rate}


def _about(settled: Settled) -> str:
    """What a start was trained on; the families of a mixture by their names."""
    families = [it.partition("=")[0] for it in settled.tables["tasks"].get("families") or [settled.tasks]]
    return ", ".join(dict.fromkeys(families))


def _by(settled: Settled) -> str:
    """How it was trained, and on from where."""
    begin = settled.tables[""]["begin"]
    return f"{settled.learner}{f'; begun from {Path(begin).name}' if begin else ''}"


def keep_embedding(base: Base, folder: Path, settled: Settled, weights: Weights, result: Mapping[str, Any]) -> dict[str, Any]:
    """The best weights of an embedding of texts as an adapter of the folder's name, for `headstart eval --learner … --adapter`."""
    name = folder.resolve().name
    about = f"features of texts by {settled.learner}"
    record = {"kind": EMBEDDING, "about": about, "base": asdict(key_of(base)), "score": result["score"], "versions": versions()}
    record |= _dealt(folder)
    return {"adapter": name, "adapter_path": str(Shelf().write(name, weights, record, base.layers, replace=True))}


def _dealt(folder: Path) -> dict[str, Any]:
    """What a run that begins from it is checked by."""
    found = marks(sides_in(folder))
    return {"dealt": found} if found else {}


def _learned(base: Base, folder: Path) -> Weights:
    """The net's weights that a run has left, where its base is."""
    return {name: w.to(base.model.device) for name, w in part("net", learned_in(folder)).items()}


def _read(words: Sequence[str]) -> tuple[Path | None, list[tuple[str, Any]]]:
    files = [word for word in words if "=" not in word or word.endswith(".toml")]
    if len(files) > 1:
        raise SettingsError(f"One config file at most is wanted, got {', '.join(files)}; settings are given as key=value.")
    return (Path(files[0]) if files else None), [pair(word) for word in words if word not in files]


def _given(options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Options as keys; `--tasks` names a kind, or a folder of images or of files of examples."""
    found = {key: value for key, value in options.items() if value is not None}
    tasks = found.pop("tasks.kind", None)
    if tasks is None or tasks in SOURCES:
        return [*([("tasks.kind", tasks)] if tasks else []), *found.items()]
    if not Path(tasks).expanduser().exists():
        raise SettingsError(f"--tasks is '{tasks}', which is neither a folder nor one of {', '.join(SOURCES)}.")
    return [("tasks.kind", "folder" if _pictures(Path(tasks).expanduser()) else "texts"), ("tasks.data", tasks), *found.items()]


def _pictures(place: Path) -> bool:
    """Whether there are images in a folder; lists of them may lie there too."""
    return any(path.suffix.lower() in SUFFIXES for path in place.rglob("*"))


def _assembled(settled: Settled, base: Base | None, team: Team, given: Weights) -> Job:
    """The first process reads the tasks before the others, which then find them unpacked."""
    if team.rank == 0:
        with screen.progress() as tell:
            job = assemble(settled, base, tell, given)
    team.first(bytes)
    return job if team.rank == 0 else assemble(settled, base, given=given)


def _remark(state: State) -> str:
    if state.score is None or state.best is None:
        return f"loss {state.loss:.3f}"
    return f"loss {state.loss:.3f}, validation {state.score.metric} {state.score.mean:.3f}, best {state.best.score.mean:.3f}"


def _show(result: Mapping[str, Any]) -> None:
    """The scores, for people."""
    table = Table(title=counted(result["score"]["tasks"], "test task"), title_justify="left")
    for column in ("", result["score"]["metric"], "95 % interval"):
        table.add_column(column, justify="right" if column else "left")
    for name, score in result["scores"].items():
        table.add_row(name, *_numbers(score))
    screen.OUT.print(table)
    if "start" in result:
        screen.say(
            f"start '{result['start']}', {result['start_bytes'] / 1e6:.1f} MB, to be stepped from {result['start_steps']} times at "
            f"{result['start_rate']}: `headstart adapt EXAMPLES --name NAME --start {result['start']}`"
        )
    if "adapter" in result:
        screen.say(f"embedding '{result['adapter']}': `headstart eval FILE --learner prototypes --adapter {result['adapter']}`")
    best = "" if result["best_step"] is None else f", the best in validation after {result['best_step']}"
    screen.say(
        f"{counted(result['steps'], 'meta-step')}{best}, {result['parameters']} parameters, {result['seconds']:.0f} s\n{result['run']}"
    )


def _numbers(score: Mapping[str, Any]) -> tuple[str, str]:
    if "error" in score:
        return "diverges", f"{score['lost']} of {score['of']} tasks"
    if score["metric"] != "mse":
        return f"{100 * score['mean']:.2f} %", f"{max(0.0, 100 * score['low']):.2f} to {min(100.0, 100 * score['high']):.2f}"
    return f"{score['mean']:.4f}", f"{score['low']:.4f} to {score['high']:.4f}"
