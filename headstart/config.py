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


def offline() -> bool:
    """Whether `--offline` or HF_HUB_OFFLINE forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def llama_server() -> Path | None:
    """llama.cpp's server: `$LLAMA_SERVER`, or on the path; None: neither."""
    found = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    return Path(found) if found and Path(found).is_file() else None
