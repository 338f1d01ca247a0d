"""Where it would run: a card by name, an amount of memory, or this machine."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, final

from headstart.errors import SettingsError, nearest

CGROUP = Path("/sys/fs/cgroup")
"""Where the system tells a container of its limits."""
CPUINFO = Path("/proc/cpuinfo")
"""Where Linux tells of processors."""
_BF16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
"""Flags of those that multiply it: the ones that `headstart.lm.load.native_dtype` asks torch for."""
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_UNITS |= {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@final
@dataclass(frozen=True)
class Place:
    """Memory to fit into, and how fast it is."""

    name: str
    memory: int
    """Bytes that a program may have."""
    gpu: bool
    bandwidth: float | None = None
    """Bytes a second; None: not known."""
    arithmetic: float | None = None
    """Operations a second of dense bf16 products, accumulated in fp32; None: not known."""
    source: str = ""
    """Where the figures are from."""
    whole: int | None = None
    """Bytes of all memory of a CPU's machine, taken or not."""
    compiled: bool = True
    """Whether a CPU's products in half precision are oneDNN's, which compiles them; yes, where that is not known."""
    native: bool = True
    """Whether a CPU multiplies bf16 itself; yes, where that is not known. Without, every command here loads fp32."""


@functools.cache
def _table() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((files("headstart.plan") / "cards.json").read_text(encoding="utf-8"))
    return found


def cards() -> list[str]:
    """Names of all that are known."""
    return [card["name"] for card in _table()["cards"]]


def card(name: str) -> Place:
    """One by name; case, spaces and the maker's name do not matter.

    Raises:
        SettingsError: it is not in the table, with the nearest that are.
    """
    table = _table()
    for row in table["cards"]:
        if _plain(name) in {_plain(it) for it in (row["name"], *row.get("also", ()))}:
            unified, memory = row.get("unified", False), int(row["memory_gib"] * 2**30)
            source = table["sources"][row["source"]]
            return Place(row["name"], memory, not unified, row["bandwidth"], row["bf16"], source, memory if unified else None)
    raise SettingsError(f"There is no card '{name}' in the table.{nearest(name, cards())} Or give its memory: --memory 24GB.")


def amount(text: str) -> Place:
    """A card of so much memory, and nothing else known of it.

    Raises:
        SettingsError: it is no amount.
    """
    size = parsed(text)
    return Place(f"a card of {size / 1e9:.1f} GB", size, gpu=True)


def parsed(text: str) -> int:
    """`24GB`, `8 GiB`, `16g` in bytes; without an i they are thousands.

    Raises:
        SettingsError: it is no amount above 0.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    size = float(found[1]) * _UNITS[found[2]] if found and found[2] in _UNITS else 0
    if not 1 <= size < math.inf:
        raise SettingsError(f"'{text}' is no amount of memory: such as 24GB, 8GiB or 512MB.")
    return int(size)


def here() -> Place:
    """This machine without asking torch: its GPU where NVIDIA's driver tells of one, else its memory as far as it is free.

    What computes asks `headstart.plan.memory.place_of`, which knows where.
    """
    return _nvidia() or processor()


def processor() -> Place:
    """This machine without a GPU that it may have."""
    whole, free = machine_memory()
    flags = _flags()
    # PyTorch asks oneDNN for products in half precision where an x86 has AVX-512, and multiplies by itself where it has not.
    compiled = "flags" not in flags or "avx512bw" in flags
    return Place("this machine", free, False, source="the system", whole=whole, compiled=compiled, native=not flags or bool(_BF16 & flags))


def gpu(name: str, free: int, source: str) -> Place:
    """A card that is there, as its driver calls it, with so many bytes free; its speeds, where the table has it."""
    known = {_plain(it): it for it in cards()}.get(_plain(name))
    table = card(known) if known else None
    speeds = (table.bandwidth, table.arithmetic) if table else (None, None)
    return Place(name, free, True, *speeds, f"{source}; speeds from the table")


def _flags() -> set[str]:
    """What the processor can, as Linux has it, and the word that an x86 (`flags`) or ARM (`Features`) begins it with; empty: not told."""
    try:
        rows = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((row for row in rows if row.startswith(("flags", "Features"))), "").split())


def machine_memory() -> tuple[int, int]:
    """Bytes in all, and free for a program.

    Raises:
        SettingsError: the system does not tell.
    """
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        raise SettingsError("This system does not tell how much memory it has: give --memory or --card.") from None
    try:
        rows = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        # No system but Linux tells what is free in the same words.
        return whole, whole
    free = _rows(rows).get("MemAvailable", whole)
    return whole, max(0, min(free, *_allowed(whole)))


def _rows(rows: Sequence[str]) -> dict[str, int]:
    """Bytes by name, of the system's tables in kibibytes."""
    parts = [row.partition(":") for row in rows if row.rstrip().endswith("kB")]
    return {key: int(rest.split()[0]) * 1024 for key, _, rest in parts}


def _allowed(whole: int) -> Iterator[int]:
    """What this process may yet have: all, or less in a container, or by a limit on its data."""
    yield whole
    for folder, limit, used, idle in (
        (CGROUP, "memory.max", "memory.current", "inactive_file"),
        (CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = ((folder / it).read_text(encoding="ascii").strip() for it in (limit, used))
        except OSError:
            continue
        if most.isdecimal() and int(most) < whole:
            yield int(most) - max(0, int(now) - _cached(folder, idle))
    most_data = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if most_data != resource.RLIM_INFINITY:
        yield most_data - _rows(Path("/proc/self/status").read_text(encoding="ascii").splitlines()).get("VmData", 0)


def _cached(folder: Path, idle: str) -> int:
    """Bytes of files that a container has read and no longer uses: they count as used, and the system gives them up when it is short."""
    try:
        rows = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith(f"{idle} ")), 0)


def nvidia_smi(query: str) -> list[str] | None:
    """Its rows for a query such as `gpu=name,memory.free`, sizes in MiB; None: it is not there, or does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    line = [program, f"--query-{query}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(line, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return [row.strip() for row in told.splitlines() if row.strip()]


def _nvidia() -> Place | None:
    try:
        name, free = (nvidia_smi("gpu=name,memory.free") or [""])[0].rsplit(",", 1)
        size = int(free) * 2**20
    except ValueError:
        return None
    return gpu(name, size, "nvidia-smi")


def _plain(name: str) -> str:
    return re.sub(r"nvidia|geforce|amd|radeon|apple|rtx|rx|[^a-z0-9]", "", name.lower())
