"""`headstart adapt`: a file of examples onto the shelf."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart import disk, screen
from headstart.adapters.starts import Start, Starts
from headstart.adapters.store import Shelf
from headstart.adapters.wear import graft_for, key_of
from headstart.commands.opening import open_base
from headstart.episode import Example
from headstart.errors import AdapterRefused
from headstart.lm.load import Base
from headstart.tasks.texts import read_examples
from headstart.teach import NONE, Beginning, Recipe, Taught, teach_from
from headstart.teach.recipe import layer_count
from headstart.teach.report import shown_once

AUTO = "auto"
NAMED = 8
"""Words shown once that are named to people; the rest are counted."""


def run(path: Path, name: str, replaces: bool, base_name: str | None, start: str, recipe: Recipe, as_json: bool) -> None:
    """Read, choose a start, teach, keep, tell."""
    shelf = Shelf()
    shelf.free(name, replaces)
    if start not in (AUTO, NONE):
        Starts().shelf(start)
        if recipe.target or recipe.layers:
            raise AdapterRefused("A start brings its own rank and sites: give --start, or --target and --layers, not both.")
    examples = read_examples(path, least=2)
    base = open_base(base_name)
    with screen.progress() as tell:
        taught = teach_from(base, examples, beginnings(base, start, recipe), tell)
    facts = keep(shelf, name, base, examples, taught, replaces)
    if as_json:
        screen.emit(facts)
    else:
        show(facts, taught)


def beginnings(base: Base, start: str, recipe: Recipe) -> list[Beginning]:
    """What `--start` asks for: one start, none, or for auto every start that fits the base, and none.

    Raises:
        NameRefused, AdapterRefused: no such start, or not for this base.
    """
    none = Beginning(NONE, recipe)
    if start == NONE or (start == AUTO and (recipe.target or recipe.layers or recipe.rank != Recipe.rank)):
        return [none]
    starts, key = Starts(), key_of(base)
    if start == AUTO:
        fitting, broken = starts.fitting(key)
        for problem in broken:
            screen.ERR.print(f"A start is passed over: {problem}", highlight=False, soft_wrap=True)
        return [none, *(begun(base, it, recipe) for it in fitting)]
    return [begun(base, starts.read(start, key), recipe)]


def begun(base: Base, start: Start, recipe: Recipe) -> Beginning:
    """A start with the steps and the rate that suit it, unless others were asked for.

    Raises:
        AdapterRefused: the base lacks one of its sites.
    """
    graft_for(base, start.name, start.weights).remove()
    sites = tuple(dict.fromkeys(key.rpartition(".")[0] for key in start.weights))
    steps, rate = recipe.steps or start.steps, recipe.rate or start.rate
    return Beginning(start.name, replace(recipe, target=sites, steps=steps, rate=rate), start.weights)


def keep(shelf: Shelf, name: str, base: Base, examples: Sequence[Example], taught: Taught, replaces: bool) -> dict[str, Any]:
    """Put what was taught on the shelf; the facts that `--json` prints."""
    told = taught.report
    facts: dict[str, Any] = {
        "name": name,
        "examples": len(examples),
        "start": taught.beginning.name,
        "starts": dict(taught.losses),
        "glances": dict(taught.glances),
        "steps": taught.steps,
        "seconds": round(taught.seconds, 3),
        "peak_memory_bytes": taught.peak_memory_bytes,
        "scores": {way: asdict(score) for way, score in told.scores.items()} if told else {},
        "ways": {way: asdict(score) for way, score in told.ways.items()} if told else {},
        "verdict": told.verdict if told else None,
        "clear": told.clear if told else None,
        "advice": told.advice if told else None,
        "folds": told.folds if told else 0,
        "prefix": len(taught.prefix),
    }
    record = facts | {"base": asdict(key_of(base)), "examples_hash": hash_of(examples), "versions": versions()}
    path = shelf.write(name, taught.weights, record, layer_count(base), taught.prefix, replaces)
    held_out = [asdict(answer) for answer in told.answers] if told else []
    return facts | {"path": str(path), "adapter_bytes": disk.size(path), "held_out": held_out, "shown_once": shown_once(examples)}


def show(facts: dict[str, Any], taught: Taught) -> None:
    """The honest report, for people."""
    if taught.report:
        screen.OUT.print(screen.scores(taught.report))
        screen.OUT.print(f"[bold]{taught.report.verdict}[/bold]: {taught.report.advice}")
    if facts["shown_once"]:
        screen.OUT.print(rare(facts["shown_once"]), soft_wrap=True, highlight=False, markup=False)
    if facts["glances"]:
        looked, tried = _sorted(facts["glances"]), _sorted(facts["starts"])
        screen.OUT.print(f"start: [bold]{facts['start']}[/bold] (loss before any step: {looked}; held out: {tried})", soft_wrap=True)
    kept = "examples kept in front of every prompt" if facts["prefix"] else "weights alone"
    screen.OUT.print(
        f"'{facts['name']}': {facts['examples']} examples, {facts['steps']} steps in {facts['seconds']:.1f} s, "
        f"{facts['adapter_bytes'] / 1e6:.1f} MB, {kept}, peak memory {facts['peak_memory_bytes'] / 1e9:.2f} GB\n{facts['path']}",
        soft_wrap=True,
        highlight=False,
    )


def _sorted(losses: dict[str, float]) -> str:
    """Names and losses, the lowest first."""
    return ", ".join(f"{name} {loss:.3f}" for name, loss in sorted(losses.items(), key=lambda item: item[1]))


def rare(once: Sequence[str]) -> str:
    """What is shown once, in a sentence or two."""
    more = f" and {len(once) - NAMED} more" if len(once) > NAMED else ""
    return (
        f"shown once: {', '.join(f'`{word}`' for word in once[:NAMED])}{more}. What is shown once is learned worst: add an example of each."
    )


def hash_of(examples: Sequence[Example]) -> str:
    """SHA-256 of the examples, whatever file shape they came in."""
    return hashlib.sha256(json.dumps([e.messages for e in examples], ensure_ascii=False).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The packages that a result depends on."""
    return {package: version(package) for package in ("headstart", "torch", "transformers")}
