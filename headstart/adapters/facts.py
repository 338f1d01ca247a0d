"""What is told of an adapter or of a start: the same to the command line and over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headstart import disk
from headstart.adapters import peft
from headstart.adapters.starts import Starts
from headstart.adapters.store import Shelf
from headstart.errors import AdapterRefused


def adapter(shelf: Shelf, name: str) -> dict[str, Any]:
    """One row of the list; a problem is a fact too.

    Raises:
        NameRefused: there is none of that name, or none any more.
    """
    while True:
        try:
            return _adapter(shelf, name, shelf.known(name))
        except FileNotFoundError:
            # It was removed meanwhile, or has just been replaced.
            continue


def _adapter(shelf: Shelf, name: str, path: Path) -> dict[str, Any]:
    problem, record, config = None, {}, {}
    try:
        record = shelf.record(name)
        config = peft.read(path)[1]
    except AdapterRefused as error:
        problem = str(error)
    # The folder's own time is another after the adapter was given another name.
    created = int((path / peft.CONFIG).stat().st_mtime)
    return {
        "name": name,
        "path": str(path),
        "base": (record.get("base") or {}).get("name") or config.get("base_model_name_or_path"),
        "examples": record.get("examples"),
        "start": record.get("start"),
        "scores": record.get("scores"),
        "verdict": record.get("verdict"),
        "adapter_bytes": disk.size(path),
        "prefix": record.get("prefix"),
        "made": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M"),
        "created": created,
        "problem": problem,
    }


def start(starts: Starts, name: str) -> dict[str, Any]:
    """What is known of a start."""
    shelf, problem = starts.shelf(name), ""
    try:
        record = shelf.record(name)
    except AdapterRefused as error:
        record, problem = {}, str(error)
    return {
        "name": name,
        "path": str(shelf.path(name)),
        "base": (record.get("base") or {}).get("name"),
        "content": (record.get("base") or {}).get("content"),
        "about": str(record.get("about") or "an adapter"),
        "by": record.get("by"),
        "licence": record.get("licence"),
        "score": record.get("score"),
        "steps": record.get("steps"),
        "rate": record.get("rate"),
        "bytes": disk.size(shelf.path(name)),
        "problem": problem,
    }
