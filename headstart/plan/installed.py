"""Is what headstart needs installed, and does torch see the machine's GPU?"""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, final

from headstart.plan.cards import nvidia_smi
from headstart.plan.finding import Finding, fine, note, problem

if TYPE_CHECKING:
    from packaging.requirements import Requirement

EXTRAS = {
    "small": "`--precision 4bit` and `8bit`",
    "images": "`meta-train` on Omniglot and on folders of images",
    "tasks": "`meta-train` on the SQL of real engines (tasks.kind=engines), and benchmarks of query languages",
    "peft": "`adapters verify --against peft`, and benchmarks",
}
"""What is installed by `pip install 'headstart[NAME]'`, and which commands need it."""


@final
@dataclass(frozen=True)
class Build:
    """What there is of torch, and of GPUs by their makers' own word."""

    torch: str
    cuda: str | None
    """Version that torch was built for; None: not at all."""
    hip: str | None
    seen: str | None
    """The GPU that torch sees."""
    nvidia: str | None
    """What nvidia-smi says there is."""
    amd: bool
    """Whether the system has AMD's compute device."""
    metal: bool
    """Whether torch sees Apple's."""


def look() -> Build:
    """At this machine."""
    import torch

    seen = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    metal = bool(torch.backends.mps.is_available())
    return Build(torch.__version__, torch.version.cuda, torch.version.hip, seen, nvidia(), Path("/dev/kfd").exists(), metal)


def nvidia() -> str | None:
    """Name and driver of the first card, as its own tool has them."""
    return next(iter(nvidia_smi("gpu=name,driver_version") or ()), None)


def device(build: Build) -> Finding:
    """The classic: a torch for CPUs on a machine that has a GPU."""
    slow = "Everything runs on the processor, ten to a hundred times slower."
    if build.seen:
        return fine("GPU", f"{build.seen}, torch {build.torch}")
    if build.nvidia and not build.cuda:
        mend = "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu128"
        return problem("GPU", f"{build.nvidia} is there, but torch {build.torch} is built for CPUs alone.", slow, mend)
    if build.nvidia:
        why = f"torch is built for CUDA {build.cuda}, and the driver is older than that, or hidden by CUDA_VISIBLE_DEVICES. {slow}"
        mend = "Look at the CUDA version that `nvidia-smi` prints: update the driver, or install a torch for that version."
        return problem("GPU", f"{build.nvidia} is there, and torch {build.torch} cannot use it.", why, mend)
    if build.amd and not build.hip:
        mend = "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/rocm6.4"
        return problem("GPU", f"An AMD card's compute device is there, but torch {build.torch} is not built for ROCm.", slow, mend)
    if build.amd:
        why = "The user may not open the device, or the card is one that ROCm does not know."
        mend = "sudo usermod -aG render,video $USER, and log in again; for cards outside ROCm's list, HSA_OVERRIDE_GFX_VERSION."
        return problem("GPU", f"torch {build.torch} is built for ROCm and sees no card.", why, mend)
    if build.metal:
        return note(
            "GPU", "Apple's GPU is there.", "headstart computes on the processor here; it has not been taught Metal.", "Nothing to do."
        )
    return fine("GPU", f"none; torch {build.torch} computes on the processor")


def python() -> Finding:
    """Version and platform; an older one than is needed cannot have got here."""
    said = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return fine("Python", said)


def default_base(there: bool, install: str) -> Finding:
    """Whether the base that is taken where none is named came with the installation."""
    if there:
        return fine("default base", "SmolLM2-135M-Instruct, installed")
    why = "The hub's is fetched in its place, with its weights in another form, and no start that headstart ships fits that."
    return note("default base", "The package that carries it is not installed.", why, install)


def packages() -> Iterator[Finding]:
    """What is required, and each extra."""
    from packaging.requirements import Requirement

    needed: dict[str, list[str]] = {"": []}
    wanted: list[str] = []
    for line in requires("headstart") or ():
        it = Requirement(line)
        group = next((extra for extra in EXTRAS if it.marker and it.marker.evaluate({"extra": extra})), None if it.marker else "")
        if group is not None and (lack := _lack(it)):
            needed.setdefault(group, []).append(lack)
            wanted += [] if group else [f"{it.name}{it.specifier}"]
    if needed[""]:
        mend = f"pip install {' '.join(shlex.quote(it) for it in wanted)}"
        yield problem("packages", f"{', '.join(needed[''])}.", "headstart was tested with what it asks for.", mend)
    else:
        yield fine("packages", f"headstart {version('headstart')} has all that it needs")
    for extra, commands in EXTRAS.items():
        if needed.get(extra):
            yield note(f"extra '{extra}'", f"{', '.join(needed[extra])}.", f"{commands} need it.", f"pip install 'headstart[{extra}]'")
        else:
            yield fine(f"extra '{extra}'", "installed")


def _lack(it: Requirement) -> str:
    """What is missing of one requirement; empty: nothing."""
    try:
        have = version(it.name)
    except PackageNotFoundError:
        return f"{it.name} is not installed"
    return "" if it.specifier.contains(have, prereleases=True) else f"{it.name} is {have}, wanted {it.specifier}"
