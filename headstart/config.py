"""Where things lie on this machine, and whether it may ask others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """`$HEADSTART_HOME`, or the platform's folder for user data."""
    named = os.environ.get("HEADSTART_HOME")
    return Path(named).expanduser() if named else user_data_path("headstart", appauthor=False)


def make_folder(path: Path) -> None:
    """See that a folder is there, and those above it."""
    if home() in (path, *path.parents):
        # For its user alone, whose examples and files will lie in it. One that is there stays as its user has it.
        home().mkdir(0o700, parents=True, exist_ok=True)
    path.mkdir(parents=True, exist_ok=True)


def offline() -> bool:
    """Whether `--offline` or HF_HUB_OFFLINE forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def llama_server() -> Path | None:
    """llama.cpp's server: `$LLAMA_SERVER`, or on the path; None: neither."""
    found = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    return Path(found) if found and Path(found).is_file() else None
