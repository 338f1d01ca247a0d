"""Where it would run: a card by name, an amount of memory, or this machine."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, final

from headstart.errors import SettingsError, nearest
from headstart.plan.system import machine_memory

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux tells of processors."""
_BF16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
"""Flags of those that multiply it: the ones that `headstart.lm.load.native_dtype` asks torch for."""
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
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
    """Bytes of all its memory, taken or not; None: not known, or of no account."""
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
    found = _found(name)
    if found is None:
        raise SettingsError(f"There is no card '{name}' in the table.{nearest(name, cards())} Or give its memory: --memory 24GB.")
    return found


def _found(name: str) -> Place | None:
    table = _table()
    for row in table["cards"]:
        if _plain(name) in {_plain(it) for it in (row["name"], *row.get("also", ()))}:
            memory, source = int(row["memory_gib"] * 2**30), table["sources"][row["source"]]
            unified, native = row.get("unified", False), row.get("native", True)
            return Place(row["name"], memory, not unified, row["bandwidth"], row["bf16"], source, native=native)
    return None


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
    native = flags is None or bool(_BF16 & flags)
    # PyTorch asks oneDNN for products in half precision where an x86 has AVX-512, and multiplies by itself where it has not.
    compiled = flags is None or "flags" not in flags or "avx512bw" in flags
    return Place("this machine", free, False, source="the system", whole=whole, compiled=compiled, native=native)


def gpu(name: str, free: int, whole: int, source: str) -> Place:
    """A card that is there, as its driver calls it, with so many bytes free of all; its speeds, where the table has it."""
    table = _found(name)
    if table is None:
        return Place(name, free, True, source=source, whole=whole)
    return Place(name, free, True, table.bandwidth, table.arithmetic, f"{source}; speeds from the table", whole)


def _flags() -> set[str] | None:
    """What the processor can, as Linux has it, and the word that an x86 (`flags`) or ARM (`Features`) begins it with; None: not told."""
    try:
        rows = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return _apple()
    return next((set(row.split()) for row in rows if row.startswith(("flags", "Features"))), None)


def _apple() -> set[str] | None:
    """The one of them that counts, of a Mac, whose first chips have no bf16."""
    try:
        told = subprocess.run(["sysctl", "-n", "hw.optional.arm.FEAT_BF16"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return {"bf16"} if told.strip() == "1" else set()


def nvidia_smi(query: str, card: str | None = None) -> list[str] | None:
    """Its rows for a query such as `gpu=name,memory.free`, sizes in MiB, of one card or all; None: it is not there, or does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    line = [program, f"--query-{query}", "--format=csv,noheader,nounits", *([] if card is None else [f"--id={card}"])]
    try:
        told = subprocess.run(line, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return [row.strip() for row in told.splitlines() if row.strip()]


def _nvidia() -> Place | None:
    """The first card that a program would see: nvidia-smi itself shows those too that CUDA_VISIBLE_DEVICES hides."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    first = None if seen is None else seen.partition(",")[0].strip()
    if first in ("", "-1"):
        return None
    try:
        # Of a part of a card it tells nothing by the part's name: the whole one is the nearest that it tells of.
        of = None if first and first.startswith("MIG-") else first
        name, free, whole = (nvidia_smi("gpu=name,memory.free,memory.total", of) or [""])[0].rsplit(",", 2)
        return gpu(name, int(free) * 2**20, int(whole) * 2**20, "nvidia-smi")
    except ValueError:
        return None


def _plain(name: str) -> str:
    return re.sub(r"nvidia|geforce|tesla|amd|radeon|apple|rtx|rx|[^a-z0-9]", "", name.lower())
