"""What is told of an adapter or of a start: the same to the command line and over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from headstart import disk
from headstart.adapters import peft
from headstart.adapters.record import check
from headstart.adapters.starts import Starts, described
from headstart.adapters.store import Shelf
from headstart.errors import AdapterRefused


def record(shelf: Shelf, name: str) -> dict[str, Any]:
    """What `headstart.json` says, where it can be told: one that was made by hand is looked through as one from elsewhere is.

    Raises:
        NameRefused: there is no such adapter.
        AdapterRefused: it is broken, or is not what headstart writes.
    """
    found = shelf.record(name)
    check(name, json.dumps(found))
    return found


def adapter(shelf: Shelf, name: str) -> dict[str, Any]:
    """One row of the list; a problem is a fact too."""
    path = shelf.known(name)
    problem, known, config = None, {}, {}
    try:
        known = record(shelf, name)
        config = peft.read(path)[1]
    except AdapterRefused as error:
        problem = str(error)
    # The folder's own time is another after the adapter was given another name.
    created = int((path / peft.CONFIG).stat().st_mtime)
    return {
        "name": name,
        "path": str(path),
        "base": (known.get("base") or {}).get("name") or config.get("base_model_name_or_path"),
        "examples": known.get("examples"),
        "start": known.get("start"),
        "scores": known.get("scores"),
        "verdict": known.get("verdict"),
        "adapter_bytes": disk.size(path),
        "prefix": known.get("prefix"),
        "made": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M"),
        "created": created,
        "problem": problem,
    }


def start(starts: Starts, name: str) -> dict[str, Any]:
    """What is known of a start."""
    shelf, problem = starts.shelf(name), ""
    try:
        known = record(shelf, name)
    except AdapterRefused as error:
        known, problem = {}, str(error)
    return {
        "name": name,
        "path": str(shelf.path(name)),
        "base": (known.get("base") or {}).get("name"),
        "content": (known.get("base") or {}).get("content"),
        "about": described(known),
        "score": known.get("score"),
        "steps": known.get("steps"),
        "rate": known.get("rate"),
        "bytes": disk.size(shelf.path(name)),
        "problem": problem,
    }
