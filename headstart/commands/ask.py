"""`headstart ask`: one completion, streamed."""

from __future__ import annotations

import sys

from headstart import screen
from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.commands.opening import open_base
from headstart.errors import ExamplesError
from headstart.lm.generate import Sampling, generate


def run(prompt: str, adapter: str | None, base_name: str | None, sampling: Sampling, as_json: bool) -> None:
    """Load, answer, print as it comes."""
    shelf = Shelf()
    if adapter is not None:
        shelf.known(adapter)
    if not prompt.strip():
        raise ExamplesError("The prompt is empty: give a question.")
    base = open_base(base_name)
    net, bank, slot = wear(base, shelf, adapter)
    tokens = base.chat.prompt([("user", prompt)])

    def listen(_: int, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    [text] = generate(net, base.chat, bank, [slot], [tokens], sampling, listen=None if as_json else listen)
    if as_json:
        screen.emit({"prompt": prompt, "adapter": adapter, "base": base.name, "completion": text})
    else:
        sys.stdout.write("\n")
