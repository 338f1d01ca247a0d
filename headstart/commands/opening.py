"""What most commands begin with: a loaded base, with a word on what is being waited for."""

from __future__ import annotations

from headstart import screen
from headstart.lm.load import Base, hush, load
from headstart.lm.quantised import PRECISIONS


def open_base(name: str | None, precision: str | None = None) -> Base:
    """Load a base in a precision of `PRECISIONS`, None: the machine's own; with transformers' own chatter off."""
    hush()
    dtype, bits = PRECISIONS[precision] if precision else (None, None)
    with screen.ERR.status("loading the base") as status:
        return load(name, dtype, lambda what: status.update(what), bits)
