"""What most commands begin with: a loaded base, with a word on what is being waited for."""

from __future__ import annotations

import transformers

from headstart import screen
from headstart.lm.load import Base, load


def open_base(name: str | None) -> Base:
    """Load a base, with transformers' own chatter off."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with screen.ERR.status("loading the base") as status:
        return load(name, tell=lambda what: status.update(what))
