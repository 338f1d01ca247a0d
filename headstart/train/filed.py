"""What a run keeps of tasks that lie in files, so that nothing it has trained on is ever a test of it.

Files that come in later are dealt anew, all of them: what trained may then be held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from headstart.tasks.episodes import some
from headstart.tasks.family import USES

Sides = Mapping[str, Mapping[str, str]]
"""Split -> name, "kind=place: " before it -> a hash of what is called so, which is the same wherever it lies."""
Marks = Mapping[str, Iterable[str]]
"""Split -> hashes of names and of contents: enough to know again what was there, and not to say it."""


@final
@dataclass(frozen=True)
class Filed:
    """What was read; nothing of tasks that are made up."""

    sides: Sides = field(default_factory=dict)
    """Of "train", "validation" and "test", what was dealt: groups of tasks, or classes."""
    told: tuple[str, ...] = ()
    """In sentences: how much each split has, and what was left out."""


def digest(text: str) -> str:
    """A hash that no two texts share by chance."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def marks(sides: Sides) -> Marks:
    """What to know a deal again by."""
    return {split: sorted({mark for name, content in named.items() for mark in (digest(name), content)}) for split, named in sides.items()}


def moved(there: Sides, here: Sides) -> str:
    """What differs between two deals, in a phrase; nothing if they are alike."""
    was, now = ({name: split for split, names in sides.items() for name in names} for sides in (there, here))
    found = {
        "came in": sorted(now.keys() - was.keys()),
        "went": sorted(was.keys() - now.keys()),
        "went from one split to another": sorted(name for name in was.keys() & now.keys() if was[name] != now[name]),
    }
    return "; ".join(f"{some(names)} {what}" for what, names in found.items() if names)


def seen(there: Marks, here: Sides) -> str:
    """What trained there, by its name or by what it holds, and is judged here, in a phrase; nothing if there is none.

    What was judged there too is no news: a user's own folders may have a file of one name in each.
    """
    news = {split: set(there.get("train", ())) - set(there.get(split, ())) for split in USES.values()}
    found = {
        use: [name for name, content in here.get(split, {}).items() if news[split] & {digest(name), content}] for use, split in USES.items()
    }
    return "; ".join(f"{some(names)} in {use}" for use, names in found.items() if names)
