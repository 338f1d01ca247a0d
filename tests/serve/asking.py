"""Requests to an engine, and the answers that they would have alone."""

from __future__ import annotations

from collections.abc import Callable

from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.lm.generate import Sampling, generate
from headstart.lm.load import Base
from headstart.serve.engine import Running
from headstart.serve.request import Ask, Ended, Piece, Stream

Make = Callable[..., Running]
GREEDY = Sampling(max_tokens=12)


def ask(adapter: str | None = None, text: str = "blue please", sampling: Sampling = GREEDY, logprobs: int = 0) -> Ask:
    return Ask(adapter, (("user", text),), sampling, logprobs)


def answer(stream: Stream) -> tuple[str, Ended]:
    pieces: list[Piece] = []
    while not isinstance(it := stream.next(timeout=60), Ended):
        pieces.append(it)
    return "".join(piece.text for piece in pieces), it


def alone(base: Base, shelf: Shelf, it: Ask) -> str:
    """The obvious twin: one prompt, one adapter, in passes of its own."""
    worn = wear(base, shelf, it.adapter)
    prompt = base.chat.prompt(it.prompt, worn.before)  # type: ignore[arg-type]
    try:
        return generate(worn.net, base.chat, worn.bank, [worn.slot], [prompt], it.sampling)[0]
    finally:
        worn.net.remove()
