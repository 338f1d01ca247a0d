"""Whether the run in a folder is the one that is asked for: of the same settings, on the same tasks and the same base."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.errors import RunRefused
from headstart.terms import another_base
from headstart.train.filed import Sides, moved

CONFIG, BASE, TASKS = "config.toml", "base.json", "tasks.json"
BEGUN = "begun with"
"""Of what a base's file tells besides the base: the hash of the weights that the run began with, where it did not begin afresh."""
_ANYWHERE = ("device", "workers", "recorded", "evaluate.chunk", "learner.together")
"""Settings of where a run computes and in how much memory, which may go on elsewhere: they change nothing that is learned."""


def compare_settings(folder: Path, former: bytes, config: str, absent: Mapping[str, Any]) -> None:
    """Refuse settings other than those of the run that is there, by name."""
    try:
        there, here = _flat(tomllib.loads(former.decode())), _flat(tomllib.loads(config))
    except ValueError as error:
        raise RunRefused(f"'{folder / CONFIG}' cannot be read ({error}): --fresh starts the run over.") from error
    there = {key: absent[key] for key in here if key in absent} | there
    differ = [
        f"{key} (there {there.get(key, 'none')}, here {here.get(key, 'none')})"
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key) and key not in _ANYWHERE
    ]
    if differ:
        raise RunRefused(
            f"'{folder}' holds a run of other settings: {', '.join(differ)}. Give another --out, the settings of that run, or "
            "--fresh to start over."
        )


def read_sides(folder: Path, content: bytes) -> Sides:
    """What a run keeps of its files."""
    try:
        return {split: dict(names) for split, names in dict(json.loads(content or b"{}")).items()}
    except (ValueError, TypeError) as error:
        raise RunRefused(f"'{folder / TASKS}' cannot be read ({error}): --fresh starts the run over.") from error


def compare_tasks(folder: Path, former: bytes, sides: Sides) -> None:
    """Refuse files that were dealt otherwise."""
    differs = moved(read_sides(folder, former), sides)
    if differs:
        raise RunRefused(
            f"'{folder}' holds a run on other files: {differs}, so that what it has trained on may be judged. Give another --out, the "
            "files as they were, or --fresh to start over."
        )


def compare_base(folder: Path, former: bytes, base: Mapping[str, str] | None) -> None:
    """Refuse another base; a net of one's own has none."""
    if not former or not base:
        return
    try:
        there = dict(json.loads(former))
    except (ValueError, TypeError) as error:
        raise RunRefused(f"'{folder / BASE}' cannot be read ({error}): --fresh starts the run over.") from error
    differ = [
        f"{what} (there {str(there.get(what))[:12]}, here {here[:12]})"
        for what, here in base.items()
        if what not in ("name", BEGUN) and there.get(what) != here
    ]
    if differ:
        name = str(there.get("name"))
        give, anew = f"Give net.base={name} as it was", "train anew on this base: with --fresh, or without begin."
        raise RunRefused(f"'{folder}' {another_base(name, base['name'], differ, give, anew)}")


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in tables.items() if not isinstance(value, dict)}
    return flat | {f"{table}.{name}": value for table, inner in tables.items() if isinstance(inner, dict) for name, value in inner.items()}
