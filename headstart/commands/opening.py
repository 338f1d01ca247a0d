"""What most commands begin with: a loaded base, with a word on what is being waited for."""

from __future__ import annotations

import torch

from headstart import screen
from headstart.lm.load import Base, hush, load


def open_base(name: str | None, device: torch.device | None = None) -> Base:
    """Load a base, with transformers' own chatter off; on a GPU if there is one and no other device is named."""
    hush()
    with screen.ERR.status("loading the base") as status:
        return load(name, tell=lambda what: status.update(what), device=device)
