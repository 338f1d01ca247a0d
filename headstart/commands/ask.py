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
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise ExamplesError("The prompt is not UTF-8 text.")
    base = open_base(base_name)
    worn = wear(base, shelf, adapter)
    tokens = base.chat.prompt([("user", prompt)], worn.before)

    def listen(_: int, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    [text] = generate(worn.net, base.chat, worn.bank, [worn.slot], [tokens], sampling, listen=None if as_json else listen)
    if as_json:
        screen.emit({"prompt": prompt, "adapter": adapter, "base": base.name, "completion": text})
    else:
        sys.stdout.write("\n")
