"""Tasks shared out over processes: one sum a meta-step, and the same result whatever their number.

torch's own launcher starts the processes and restarts them when one dies:

    torchrun --standalone --nproc-per-node=4 --max-restarts=3 -m headstart meta-train CONFIG.toml

On several machines set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for it, so that after a restart they meet in a new place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, final

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous


class Team(Protocol):
    """The processes that work on one run. What they compute together is the same in all of them."""

    @property
    def rank(self) -> int:
        """Which of them this is, from 0; the first alone writes."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes, of the same shape in all of them."""
        ...

    def first(self, give: Callable[[], bytes]) -> bytes:
        """What the first process gives; the others are not asked, and wait."""
        ...


@final
@dataclass(frozen=True)
class Alone:
    """One process: sums are what they are."""

    rank: int = 0
    size: int = 1

    def sum(self, values: Tensor) -> Tensor:
        """The values."""
        return values

    def first(self, give: Callable[[], bytes]) -> bytes:
        """What is given."""
        return give()


ALONE = Alone()


@final
@dataclass(frozen=True)
class Spread:
    """The processes of torch's default group."""

    device: torch.device
    """Where the group's messages must lie."""

    @property
    def rank(self) -> int:
        """Which process this is."""
        return dist.get_rank()

    @property
    def size(self) -> int:
        """How many there are."""
        return dist.get_world_size()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes, on the device where the values were."""
        total = values.to(self.device, copy=True)
        dist.all_reduce(total)
        return total.to(values.device)

    def first(self, give: Callable[[], bytes]) -> bytes:
        """What the first process gives."""
        content = give() if self.rank == 0 else b""
        length = torch.tensor([len(content)], device=self.device)
        dist.broadcast(length, src=0)
        if not int(length):
            return b""
        buffer = bytearray(content if self.rank == 0 else int(length))
        message = torch.frombuffer(buffer, dtype=torch.uint8)
        sent = message.to(self.device)
        dist.broadcast(sent, src=0)
        message.copy_(sent)
        return bytes(buffer)


@contextmanager
def join(device: torch.device) -> Iterator[Team]:
    """The team that a launcher has started this process in; a process started by hand is alone.

    Args:
        device: where this process computes: messages go by NCCL from a GPU, by Gloo from a CPU.
    """
    if device.type == "cuda":
        # What is recorded on a GPU is recorded on the process's current one.
        torch.cuda.set_device(device)
    if "WORLD_SIZE" not in os.environ:
        yield ALONE
        return
    store, rank, size = next(rendezvous("env://"))
    # The launcher's store outlives a restart, with what the dead left in it: https://github.com/pytorch/pytorch/issues/135712
    fresh = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)  # type: ignore[attr-defined]
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=fresh, rank=rank, world_size=size)
    try:
        yield Spread(device)
    finally:
        dist.destroy_process_group()


def share(team: Team, count: int) -> slice:
    """This process's part of `count` things in a row, no fewer than there are processes; parts differ by one at most."""
    return slice(count * team.rank // team.size, count * (team.rank + 1) // team.size)
