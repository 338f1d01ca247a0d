"""Memory as this machine counts it."""

from __future__ import annotations

import resource
import sys

import torch

from headstart.plan.cards import Place, gpu, processor
from headstart.plan.system import own_bytes, resident_bytes


def peak_bytes() -> int:
    """The most memory this process has held so far: of the GPU where one is used, else resident."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    kibi = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kibi


def held_bytes(device: torch.device) -> int:
    """What this process holds now where it computes."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else resident_bytes()


def freed_bytes(device: torch.device) -> int:
    """What would be free there without this process, besides what `place_of` counts as free."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else own_bytes()


def place_of(device: torch.device) -> Place:
    """Where torch computes, by its own word: a machine may have another card, or one that this torch does not use.

    What torch keeps of a card for itself and nobody uses counts as free.
    """
    if device.type != "cuda":
        return processor()
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free, whole = torch.cuda.mem_get_info(device)
    return gpu(torch.cuda.get_device_name(device), free + kept, whole, "torch")
