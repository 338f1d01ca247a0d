"""What is wrong on this machine, and the mend: the installation, the card, room, the shelf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from headstart import disk
from headstart.adapters import peft
from headstart.adapters.starts import Starts
from headstart.adapters.store import Shelf
from headstart.config import home, offline
from headstart.errors import HeadstartError
from headstart.lm.gguf import embedded_file
from headstart.lm.load import native_dtype
from headstart.lm.quantised import PRECISIONS
from headstart.plan import installed, machine
from headstart.plan.finding import Finding, fine, note, problem
from headstart.plan.memory import place_of
from headstart.plan.probe import probe
from headstart.terms import INSTALL, counted

_WRITTEN = ("adapters", "starts", "bases", "runs", "tasks", "serve")
"""Folders of the home folder that are written to."""


def findings(probed: bool, asked: bool = True, serving: bool = False) -> Iterator[Finding]:
    """All that is looked at, in order.

    Args:
        probed: measure products and reading too, which takes two seconds.
        asked: ask the hub whether it answers, which may take eight.
        serving: this is a server's own process: what is half-written may be its work, and its port is taken by itself.
    """
    build = installed.look()
    device = torch.device("cuda" if build.seen else "cpu")
    dtype = native_dtype(device.type)
    yield installed.python()
    yield from installed.packages()
    yield installed.default_base(embedded_file() is not None, INSTALL)
    yield installed.device(build)
    yield machine.precision(str(dtype).removeprefix("torch."))
    yield machine.threads()
    place = place_of(device)
    yield machine.memory(place, next(word for word, kept in PRECISIONS.items() if kept[0] == dtype))
    yield from machine.others(build.nvidia)
    if probed:
        yield machine.pace(probe(dtype, device.type), place)
    yield from machine.disk(home())
    if not serving:
        yield from leftovers(home())
    yield from shelf()
    yield from machine.programs()
    if not serving:
        yield machine.port()
    if asked:
        yield machine.hub(offline())


def leftovers(root: Path) -> Iterator[Finding]:
    """What a kill or a full disk has left half-written, and sweeps it. Locks are the kernel's, and go with their process."""
    folders = [folder for folder in (root, *(root / name for name in _WRITTEN)) if folder.is_dir()]
    found = [path for folder in folders for path in folder.iterdir() if path.name.startswith((disk.PENDING, disk.FORMER))]
    if found:
        size = sum(disk.size(path) for path in found)
        what = f"{len(found)} half-written, {size / 1e6:.1f} MB: {', '.join(str(path) for path in found[:3])}"
        for folder in folders:
            disk.sweep(folder)
        yield note("leftovers", what, "They took room and did no harm.", "Nothing to do: what nobody is writing any more is gone now.")
    else:
        yield fine("leftovers", "none")


def shelf() -> Iterator[Finding]:
    """Every adapter and start, read as it would be for use."""
    own = Shelf()
    broken = {name: why for name in own.names() if (why := _broken(own, name))}
    for name, why in broken.items():
        yield problem(
            f"adapter '{name}'", why, "It can be neither asked nor served.", f"headstart adapters remove {name}, and teach it again"
        )
    sound = len(own.names()) - len(broken)
    yield fine("shelf", f"{counted(sound, 'sound adapter')} in {own.root}")
    starts = Starts()
    for name in starts.own.names():
        if why := _broken(starts.own, name):
            yield problem(f"start '{name}'", why, "`adapt --start auto` passes it over.", "Train it again, or remove its folder.")


def _broken(of: Shelf, name: str) -> str:
    """What is wrong with one; empty: nothing."""
    try:
        of.record(name)
        weights = peft.read(of.known(name))[0]
        of.prefix(name)
        if any(not bool(torch.isfinite(w).all()) for w in weights.values()):
            return "It has weights that are no numbers."
        return ""
    except HeadstartError as error:
        return str(error)
