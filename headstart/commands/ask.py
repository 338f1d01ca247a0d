"""`headstart ask`: one completion, streamed."""

from __future__ import annotations

import sys

from headstart import screen
from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.commands.opening import base_of, open_base
from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.behind import behind
from headstart.lm.generate import Sampling, generate
from headstart.streams import plain


def run(prompt: str, adapter: str | None, base_name: str | None, precision: str | None, sampling: Sampling, as_json: bool) -> None:
    """Load, answer, print as it comes."""
    shelf = Shelf()
    if adapter is not None:
        shelf.known(adapter)
    if not prompt.strip():
        raise ExamplesError("The prompt is empty: give a question.")
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise ExamplesError("The prompt is not UTF-8 text.")
    base = open_base(base_of(shelf, adapter, base_name), precision, "serve")
    worn = wear(base, shelf, adapter)
    asked = Example.pair(prompt, "").under(worn.system)
    row, shown = behind(base.chat, worn.before, asked, sampling.max_tokens)
    if shown < len(worn.before) and len(row) < base.chat.context:
        screen.warn(f"The prompt leaves room for {shown} of the adapter's {len(worn.before)} examples in front of it.")

    def listen(_: int, text: str) -> None:
        # A pipe gets the answer as it is.
        sys.stdout.write(plain(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()

    [text] = generate(worn.net, base.chat, worn.bank, [worn.slot], [row.prompt], sampling, listen=None if as_json else listen)
    if as_json:
        screen.emit({"prompt": prompt, "adapter": adapter, "base": base.name, "completion": text})
    else:
        sys.stdout.write("\n")
