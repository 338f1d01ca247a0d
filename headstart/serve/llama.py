"""llama-server behind our routes: a process of ours, begun anew when it lacks an adapter or has died.

Its traps are shut here: every request names exactly one adapter, by a place that was checked when it began, or sets the first to nought.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final

from headstart.adapters import gguf
from headstart.adapters.peers import llama_server
from headstart.adapters.remote import Remote
from headstart.adapters.seats import Content
from headstart.errors import EngineGone, NameRefused, nearest
from headstart.lm.load import Base
from headstart.serve.door import Entered
from headstart.serve.peer import ALIVE
from headstart.serve.request import Ended, Likely, Piece

_REASONS = {"eos": "stop", "word": "stop", "limit": "length"}

TELLING = 30.0
"""Seconds in which one that is well says something of any prompt."""


@final
class LlamaServer:
    """See `Peer`.

    Args:
        program: llama-server.
        model: the base's GGUF.
        base: the same base, for its config and its tokens.
        rows: requests at once.
        room: tokens of each, prompt and answer.
    """

    mixes = False

    def __init__(self, program: Path, model: Path, base: Base, rows: int, room: int) -> None:
        self._program, self._model, self._base, self._rows, self._room = program, model, base, rows, room
        self._stops = [base.chat.tokenizer.decode([token]) for token in base.chat.stops]
        self._there: dict[str, Content] = {}
        """By hash; without those that were let go."""
        self._places: dict[str, int] = {}
        """Hash -> place in the process, of those that were let go too: they may be at work, or on their way."""
        self._remote: Remote | None = None
        self._process = ExitStack()

    def wears(self, content: Content | None) -> bool:
        """See `Peer`."""
        return self._remote is not None and (content is None or content.hash in self._there)

    def fit(self, contents: Iterator[Content]) -> None:
        """See `Peer`: another process, with all of them."""
        adapters = list(contents)
        self.stop()
        with ExitStack() as process:
            folder = Path(process.enter_context(tempfile.TemporaryDirectory()))
            files = [folder / f"{i}.gguf" for i in range(len(adapters))]
            for file, content in zip(files, adapters, strict=True):
                gguf.write(file, content.weights, self._base.model.config)
            remote = process.enter_context(llama_server(self._program, self._model, files, self._rows, self._room, apart=True))
            there = {it["id"]: Path(it["path"]).name for it in remote.get("/lora-adapters")}
            if there != {i: file.name for i, file in enumerate(files)}:
                raise EngineGone(f"llama-server has other adapters than it was given: {there}.")
            self._process = process.pop_all()
        self._there = {content.hash: content for content in adapters}
        self._places = {content.hash: i for i, content in enumerate(adapters)}
        self._remote = remote

    def names(self) -> dict[str, int]:
        """See `Peer`."""
        return {content.name: content.bytes for content in list(self._there.values())}

    def drop(self, name: str) -> None:
        """See `Peer`; the process is rid of it when it is next begun."""
        gone = [hash for hash, content in list(self._there.items()) if content.name == name]
        if not gone:
            raise NameRefused(f"'{name}' is not loaded.{nearest(name, self.names())}")
        for hash in gone:
            del self._there[hash]

    def tidy(self, at_work: Collection[Content]) -> None:
        """See `Peer`: the next process comes without them."""

    def _distrust(self, entered: Entered, given: float) -> None:
        """Dead or alive, it is not to be trusted: the next request begins another. One that was given little time tells nothing of it."""
        if given >= TELLING or not entered.late:
            self._remote = None

    def answer(self, entered: Entered) -> Iterator[Piece | Ended]:
        """See `Peer`."""
        remote = self._remote
        if remote is None:
            raise EngineGone("llama-server is not there.")
        written, ended, given = 0, False, entered.left
        try:
            for said in remote.events("/completion", self._asked(entered), given):
                written += len(said.get("tokens", ()))
                if said.get("content") or said.get("completion_probabilities"):
                    yield from _pieces(said, entered.ask.logprobs)
                elif said.get("prompt_progress"):
                    yield ALIVE
                if said.get("stop"):
                    ended = True
                    yield _end(said, entered, written)
        except EngineGone:
            self._distrust(entered, given)
            raise
        if not ended:
            self._remote = None
            raise EngineGone("llama-server broke off.")

    def stop(self) -> None:
        """See `Peer`."""
        self._remote, self._there, self._places = None, {}, {}
        self._process.close()

    def _place(self, content: Content) -> int:
        if content.hash not in self._places:
            raise EngineGone(f"'{content.name}' was let go before it was asked.")
        return self._places[content.hash]

    def _asked(self, entered: Entered) -> dict[str, Any]:
        sampling = entered.ask.sampling
        place = self._place(entered.content) if entered.content else 0
        return {
            "prompt": list(entered.tokens),
            # The base is an adapter at nought; with an empty list all would be at work.
            "lora": [{"id": place, "scale": float(entered.content is not None)}] if self._places else [],
            "stream": True,
            "return_tokens": True,
            "return_progress": True,
            "n_predict": entered.room,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed % 2**32,
            "stop": [*sampling.stop, *self._stops],
            "n_probs": entered.ask.logprobs,
            # What it would do to chances of its own accord.
            "samplers": ["top_p", "temperature"],
            "top_k": 0,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
        }


def _pieces(said: dict[str, Any], logprobs: int) -> Iterator[Piece]:
    likely = said.get("completion_probabilities") or []
    if not logprobs or not likely:
        yield Piece(said.get("content", ""))
        return
    for i, it in enumerate(likely):
        yield Piece(said.get("content", "") if i == 0 else "", _likely(it), tuple(map(_likely, it["top_logprobs"])))


def _likely(said: dict[str, Any]) -> Likely:
    return Likely(said["token"], said["logprob"], bytes(said["bytes"]) if "bytes" in said else None)


def _end(said: dict[str, Any], entered: Entered, written: int) -> Ended:
    cached = said.get("timings", {}).get("cache_n", 0)
    reason = _REASONS.get(said.get("stop_type", ""), "stop")
    return Ended(reason, len(entered.tokens), said.get("tokens_predicted", written), cached)  # type: ignore[arg-type]
