"""Where things lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """`$HEADSTART_HOME`, or the platform's folder for user data."""
    named = os.environ.get("HEADSTART_HOME")
    return Path(named).expanduser() if named else user_data_path("headstart", appauthor=False)
