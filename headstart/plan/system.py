"""Memory of this machine, as far as this process may have it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells of groups of processes and of their limits, which containers and batch systems set."""
MINE = Path("/proc/self/cgroup")
"""Where it tells in which of them this process is."""


_TREES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of both versions of groups: where memory's are, and in which files their limit, their use and their idle files stand."""


def machine_memory() -> tuple[int, int]:
    """Bytes that there are, and that are free for a program: the machine's, or what a limit on this process or its groups leaves."""
    told = psutil.virtual_memory()
    whole, free = told.total, told.available
    for most, left in _limits():
        whole, free = min(whole, most), min(free, left)
    return whole, max(0, free)


def resident_bytes() -> int:
    """Memory that this process holds now."""
    return int(psutil.Process().memory_info().rss)


def own_bytes() -> int:
    """Of that, what `machine_memory` does not count as free: pages of files, such as a base's, it does, as the system can give them up."""
    told = psutil.Process().memory_info()
    return int(told.rss - getattr(told, "shared", 0))


def _limits() -> Iterator[tuple[int, int]]:
    """Every limit, and what is left of it."""
    for tree, (limit, used, idle) in _TREES.items():
        for folder in _groups(tree):
            try:
                most, now = ((folder / it).read_text(encoding="ascii").strip() for it in (limit, used))
            except OSError:
                continue
            if most.isdecimal():
                yield int(most), int(most) - max(0, int(now) - _cached(folder, idle))
    data = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if data != resource.RLIM_INFINITY:
        # Systems that do not count a program's data do not limit it either.
        yield data, data - getattr(psutil.Process().memory_info(), "data", 0)


def _groups(tree: str) -> Iterator[Path]:
    """The folders of the group that this process is in and of all around it: each may have a limit of its own."""
    root = CGROUP / tree
    try:
        rows = [row.split(":", 2) for row in MINE.read_text(encoding="utf-8").splitlines() if row.count(":") >= 2]
    except OSError:
        rows = []
    for _, trees, path in rows:
        if tree in trees.split(","):
            mine = root / path.lstrip("/")
            yield from (folder for folder in (mine, *mine.parents) if root in folder.parents)
    # A container may be told of its group by a path that only the machine outside has: what it sees then is its own.
    yield root


def _cached(folder: Path, idle: str) -> int:
    """Bytes of files that a group has read and no longer uses: they count as used, and the system gives them up when it is short."""
    try:
        rows = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith(f"{idle} ")), 0)
