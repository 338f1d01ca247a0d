"""What a run keeps of tasks that lie in files, so that nothing it has trained on is ever a test of it.

Files that come in later are dealt anew, all of them: what trained may then be held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from headstart.tasks.episodes import some
from headstart.tasks.family import USES

Sides = Mapping[str, tuple[str, ...]]
"""Split -> names, in order."""


@final
@dataclass(frozen=True)
class Filed:
    """What was read; nothing of tasks that are made up."""

    sides: Sides = field(default_factory=dict)
    """Of "train", "validation" and "test", the names of what was dealt: groups of tasks, or classes."""
    told: tuple[str, ...] = ()
    """In sentences: how much each split has, and what was left out."""


def moved(there: Sides, here: Sides) -> str:
    """What differs between two deals, in a phrase; nothing if they are alike."""
    was, now = ({name: split for split, names in sides.items() for name in names} for sides in (there, here))
    found = {
        "came in": sorted(now.keys() - was.keys()),
        "went": sorted(was.keys() - now.keys()),
        "went from one split to another": sorted(name for name in was.keys() & now.keys() if was[name] != now[name]),
    }
    return "; ".join(f"{some(names)} {what}" for what, names in found.items() if names)


def seen(there: Sides, here: Sides) -> str:
    """What trained there and is judged here, in a phrase; nothing if there is none.

    What was judged there too is no news: a user's own folders may have a file of one name in each.
    """
    trained = set(there.get("train", ()))
    found = {use: sorted(trained & set(here.get(split, ())) - set(there.get(split, ()))) for use, split in USES.items() if split != "train"}
    return "; ".join(f"{some(names)} in {use}" for use, names in found.items() if names)
