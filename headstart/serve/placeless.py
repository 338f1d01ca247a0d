"""Texts for outside: they name no place on this machine."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.config import home

_PLACE = re.compile(r"""(?<![\w:/.~$…-])(?:/|[A-Za-z]:\\)(?:[^\s/\\'"`:,;()<>]+[/\\])+([^\s/\\'"`:,;()<>]*)""")
"""An absolute path of two parts or more, and its last part."""


def placeless(text: str) -> str:
    """The same, with the last part of each absolute path alone; what lies in the home folder is told from there."""
    for folder, name in ((home(), "$HEADSTART_HOME"), (Path.home(), "~")):
        if str(folder) not in ("/", "."):
            text = text.replace(str(folder), name)
    return _PLACE.sub(r"…/\1", text)


def public_name(name: str) -> str:
    """What a base is called to the outside: its id, or the last part of its place on this machine."""
    path = Path(name)
    return path.name if path.is_absolute() or path.exists() else name
