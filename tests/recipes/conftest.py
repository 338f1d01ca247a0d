"""A home of its own for every test of recipes."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of read images is kept here."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
