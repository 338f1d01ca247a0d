"""Configs of small jobs, and what comes of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import SettingsError
from headstart.recipes.assemble import assemble, settle
from headstart.train.job import Job


def waves(kind: str, learner: Mapping[str, Any] | None = None, **tables: dict[str, Any]) -> dict[str, Any]:
    return {"tasks": {"kind": "sine"}, "learner": {"kind": kind, **(learner or {})}} | tables


def pictures(
    folder: Path, kind: str, tasks: Mapping[str, Any] | None = None, learner: Mapping[str, Any] | None = None, **tables: dict[str, Any]
) -> dict[str, Any]:
    shown = {"kind": "folder", "data": str(folder), "size": 16, "ways": 2, "queries": 2, **(tasks or {})}
    return {"tasks": shown, "learner": {"kind": kind, **(learner or {})}} | tables


def made(table: dict[str, Any]) -> Job:
    return assemble(settle(table))


def told(table: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as error:
        made(table)
    return str(error.value)
