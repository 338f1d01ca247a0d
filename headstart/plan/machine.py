"""Is there room: threads, memory, disk, ports, other programs, the hub."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from headstart.config import llama_server
from headstart.plan.cards import Place, nvidia_smi
from headstart.plan.clock import Speed
from headstart.plan.finding import Finding, fine, note, problem
from headstart.plan.setting import Setting
from headstart.plan.source import model
from headstart.plan.verdict import as_by_default, planned, rungs
from headstart.terms import PORT

ROOM = 2_000_000_000
"""Bytes of disk that unpacking the embedded base and some adapters may need."""
_HUB = "https://huggingface.co"


def threads() -> Finding:
    """How many torch computes with, and how many it might."""
    import torch

    have = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used = torch.get_num_threads()
    said = f"{used} of {have} processors"
    if 2 * used <= have and "OMP_NUM_THREADS" in os.environ:
        why = f"OMP_NUM_THREADS is {os.environ['OMP_NUM_THREADS']}, so products use no more."
        return note("threads", said, why, "unset OMP_NUM_THREADS")
    return fine("threads", said)


def precision(dtype: str) -> Finding:
    """What the processor or the card multiplies natively."""
    if dtype == "float32":
        why = "There are no bf16 instructions: a base takes twice the memory, and reading it twice the time."
        return note("precision", "bases are loaded in fp32", why, "Nothing to do here; a smaller base helps.")
    return fine("precision", f"bases are loaded in {dtype}")


def memory(place: Place, precision: str) -> Finding:
    """Whether `adapt` could teach the embedded base, from no start, with what is free and in the precision that it would be loaded in."""
    shape = model(None).shape
    asked, *milder = [planned(shape, it, "adapt", place).peak for _, it in rungs(as_by_default(shape, Setting(precision=precision)))]
    said = f"{place.memory / 1e9:.1f} of {place.whole / 1e9:.1f} GB free" if place.whole else f"{place.memory / 1e9:.1f} GB free"
    if milder[-1] > place.memory:
        why = f"Teaching the embedded base takes {milder[-1] / 1e9:.1f} GB at the least."
        return problem("memory", said, why, "Close other programs, or give --precision 4bit.")
    if asked > place.memory:
        why = f"Teaching the embedded base takes {asked / 1e9:.1f} GB where there is room, and longer in less: `adapt` sees to that itself."
        return note("memory", said, why, "Close other programs.")
    return fine("memory", said)


def disk(home: Path) -> Iterator[Finding]:
    """Room in the home folder, and whether it may be written."""
    there = next(place for place in (home, *home.parents) if place.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:.1f} GB free for {home}"
    if free < ROOM:
        mend = "Free some space, or point $HEADSTART_HOME to another disk."
        yield problem("disk", said, "Unpacking a base and keeping adapters would fail.", mend)
    else:
        yield fine("disk", said)
    if not there.is_dir() or not os.access(there, os.W_OK):
        wrong = "may not be written" if there.is_dir() else "is no folder"
        yield problem("home", f"{there} {wrong}.", "No adapter could be kept.", "Point $HEADSTART_HOME to a folder of your own.")


def programs() -> Iterator[Finding]:
    """Other engines, which export and verify speak to."""
    server = llama_server()
    if server:
        yield fine("llama-server", f"{server}, {_version([str(server), '--version'])}")
    else:
        why = "`serve --engine llama-server` and `adapters verify --against llama-server` need it; nothing else does."
        yield note("llama-server", "not on the path.", why, "Install llama.cpp, or say in $LLAMA_SERVER where it lies.")
    ollama = shutil.which("ollama")
    if ollama:
        yield fine("Ollama", f"{ollama}, {_version([ollama, '--version'])}")


def others(nvidia: str | None) -> Iterator[Finding]:
    """Programs on the card, but for this one, which has looked at it itself."""
    told = nvidia_smi("compute-apps=pid,name,used_memory") if nvidia else None
    if told is None:
        return
    rows = [row for row in told if row.partition(",")[0].strip() != str(os.getpid())]
    if rows:
        yield note(
            "card",
            f"at work on it: {'; '.join(f'{row} MiB' for row in rows)}",
            "What they hold is missing here.",
            "End what is not needed.",
        )
    else:
        yield fine("card", "nothing else is at work on it")


def port() -> Finding:
    """Whether the server's is free."""
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex(("127.0.0.1", PORT)) == 0
    if taken:
        return note("port", f"{PORT} is taken.", "`headstart serve` listens there by default.", "headstart serve --port 0")
    return fine("port", f"{PORT} is free")


def hub(offline: bool) -> Finding:
    """Whether bases can be fetched."""
    if offline:
        return fine("hub", "not asked, as --offline or HF_HUB_OFFLINE says")
    address = os.environ.get("HF_ENDPOINT", _HUB)
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=8) as answer:
            return fine("hub", f"{address} answers ({answer.status})")
    except urllib.error.HTTPError as error:
        return fine("hub", f"{address} answers ({error.code})")
    except (OSError, ValueError) as error:
        why = f"Bases that are not here yet cannot be fetched ({error})."
        return note("hub", f"{address} cannot be reached.", why, "--offline, with a base that is here; or set HTTPS_PROXY or HF_ENDPOINT.")


def pace(found: Speed, place: Place) -> Finding:
    """A reading of this machine against what the maker says, where that is known."""
    said = f"{found.arithmetic / 1e9:.0f} GFLOP/s, {found.bandwidth / 1e9:.0f} GB/s ({found.source})"
    if place.arithmetic and found.arithmetic < place.arithmetic / 4:
        why = f"The maker says {place.arithmetic / 1e9:.0f} GFLOP/s: the card is throttled, shared, or on too little power."
        return note("speed", said, why, "Look at its clocks and at what else runs: nvidia-smi -q -d PERFORMANCE")
    return fine("speed", said)


def _version(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"which does not start ({error})"
    return next(iter((done.stdout + done.stderr).strip().splitlines()), "which does not say its version")
