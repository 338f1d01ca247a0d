"""A running vLLM behind our routes: adapters come and go by its own two routes, under names that tell their content.

So what is replaced on the shelf is another name there, and no answer can come from content that has gone. Written from vLLM's
documentation; it has to run on this machine, or to see this machine's files, and reads them again whenever it lacks the memory for all.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.adapters import peft
from headstart.adapters.remote import Remote
from headstart.adapters.seats import Content
from headstart.errors import EngineGone, NameRefused, SettingsError, nearest
from headstart.lm.load import Base
from headstart.serve.door import Entered
from headstart.serve.request import Ended, Likely, Piece


@final
@dataclass
class _There:
    """An adapter that was loaded there, without its weights."""

    name: str
    bytes: int
    named: bool = True
    """Whether its name still leads to it; what has lost its name is unloaded when nothing is answered under it."""


@final
class Vllm:
    """See `Peer`.

    Args:
        remote: where it listens.
        base: the base that it has to serve.
        names: what the base may be called there; none: as here.

    Raises:
        EngineGone: nobody answers.
        SettingsError: it serves another base.
    """

    mixes = True

    def __init__(self, remote: Remote, base: Base, names: Sequence[str] = ()) -> None:
        self._remote, self._base = remote, base
        models = remote.get("/v1/models")["data"]
        bases = [it["id"] for it in models if not it.get("parent")]
        called = [name for name in names or (base.name,) if name in bases]
        if not called:
            raise SettingsError(f"The engine at {remote.address} serves {', '.join(bases) or 'no base'}, and the base here is {base.name}.")
        self._name = called[0]
        self._there: dict[str, _There] = {}
        """By the name there; those that others loaded are none of ours."""
        self._lock, self._folder = threading.Lock(), tempfile.TemporaryDirectory(prefix="headstart-vllm-")

    def wears(self, content: Content | None) -> bool:
        """See `Peer`."""
        if content is None:
            return True
        with self._lock:
            it = self._there.get(_called(content))
            return it is not None and it.named

    def fit(self, contents: Iterator[Content]) -> None:
        """See `Peer`: the first alone, as the others can come when they are wanted."""
        content = next(contents)
        called = _called(content)
        folder = Path(self._folder.name) / called
        folder.mkdir(exist_ok=True)
        # Written anew from what was read, and not handed over from the shelf, where it may be replaced meanwhile.
        peft.write(folder, content.weights, self._name, self._base.layers)
        try:
            self._remote.post("/v1/load_lora_adapter", {"lora_name": called, "lora_path": str(folder)})
        except EngineGone as error:
            if "already" not in str(error):
                shutil.rmtree(folder, ignore_errors=True)
                raise EngineGone(f"{error} (VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora are wanted there)") from error
        with self._lock:
            for it in self._there.values():
                it.named = it.named and it.name != content.name
            self._there[called] = _There(content.name, content.bytes)

    def names(self) -> dict[str, int]:
        """See `Peer`."""
        with self._lock:
            return {it.name: it.bytes for it in self._there.values() if it.named}

    def drop(self, name: str) -> None:
        """See `Peer`."""
        if name not in (known := self.names()):
            raise NameRefused(f"'{name}' is not loaded.{nearest(name, known)}")
        with self._lock:
            for it in self._there.values():
                it.named = it.named and it.name != name

    def tidy(self, at_work: Collection[Content]) -> None:
        """See `Peer`."""
        kept = {_called(content) for content in at_work}
        with self._lock:
            gone = [called for called, it in self._there.items() if not it.named and called not in kept]
        for called in gone:
            with suppress(EngineGone):
                self._unload(called)

    def answer(self, entered: Entered) -> Iterator[Piece | Ended]:
        """See `Peer`."""
        ask, end, usage = entered.ask, None, None
        called = _called(entered.content) if entered.content else self._name
        try:
            for said in self._remote.events("/v1/completions", self._asked(entered, called), entered.left):
                if said.get("error"):
                    raise EngineGone(f"vLLM answers: {said['error']}")
                usage = said.get("usage") or usage
                for choice in said.get("choices", ()):
                    end = choice.get("finish_reason") or end
                    if choice.get("text") or choice.get("logprobs"):
                        yield from _pieces(choice, ask.logprobs)
        except EngineGone:
            with self._lock:
                # It may have been begun anew, without what we loaded; one that had too little time left to hear of it tells nothing.
                if called in self._there and not entered.late:
                    self._there[called].named = False
            raise
        if end is None or usage is None:
            raise EngineGone("vLLM broke off.")
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        yield Ended("length" if end == "length" else "stop", len(entered.tokens), usage["completion_tokens"], cached)

    def stop(self) -> None:
        """See `Peer`."""
        for called in list(self._there):
            with suppress(EngineGone):
                self._unload(called)
        self._folder.cleanup()

    def _unload(self, called: str) -> None:
        with self._lock:
            self._there.pop(called, None)
        try:
            self._remote.post("/v1/unload_lora_adapter", {"lora_name": called})
        finally:
            shutil.rmtree(Path(self._folder.name) / called, ignore_errors=True)

    def _asked(self, entered: Entered, called: str) -> dict[str, Any]:
        ask, sampling = entered.ask, entered.ask.sampling
        return {
            "model": called,
            "prompt": list(entered.tokens),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": entered.room,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": list(sampling.stop),
            "stop_token_ids": list(self._base.chat.stops),
            **({"logprobs": ask.logprobs} if ask.logprobs else {}),
            # What it would take from the model's generation config.
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }


def _called(content: Content) -> str:
    return f"{content.name}--{content.hash[:12]}"


def _pieces(choice: dict[str, Any], wanted: int) -> Iterator[Piece]:
    told = choice.get("logprobs") if wanted else None
    if not told:
        yield Piece(choice.get("text", ""))
        return
    for i, (token, logprob) in enumerate(zip(told["tokens"], told["token_logprobs"], strict=True)):
        top = sorted((told["top_logprobs"][i] or {}).items(), key=lambda it: -it[1])[:wanted]
        yield Piece(choice.get("text", "") if i == 0 else "", Likely(token, logprob), tuple(Likely(*it) for it in top))
