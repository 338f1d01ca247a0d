"""A running vLLM behind our routes: adapters come and go by its own two routes, under names that tell their content.

So what is replaced on the shelf is another name there, and no answer can come from content that has gone. Written from vLLM's
documentation; it has to run on this machine, or to see this machine's files.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
        self._there: dict[str, Content] = {}
        """Name there -> content; those that others loaded are none of ours."""
        self._lock, self._folder = threading.Lock(), tempfile.TemporaryDirectory(prefix="headstart-vllm-")

    def wears(self, content: Content | None) -> bool:
        """See `Peer`."""
        return content is None or _called(content) in self._there

    def fit(self, contents: Sequence[Content]) -> None:
        """See `Peer`: the first alone, as the others can come when they are wanted."""
        content, called = contents[0], _called(contents[0])
        folder = Path(self._folder.name) / called
        folder.mkdir(exist_ok=True)
        # Written anew from what was read, and not handed over from the shelf, where it may be replaced meanwhile.
        peft.write(folder, content.weights, self._name, self._base.layers)
        try:
            self._remote.post("/v1/load_lora_adapter", {"lora_name": called, "lora_path": str(folder)})
        except EngineGone as error:
            if "already" not in str(error):
                raise EngineGone(f"{error} (VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora are wanted there)") from error
        with self._lock:
            self._there[called] = content

    def names(self) -> dict[str, int]:
        """See `Peer`."""
        with self._lock:
            return {content.name: content.bytes for content in self._there.values()}

    def drop(self, name: str) -> None:
        """See `Peer`."""
        with self._lock:
            called = [called for called, content in self._there.items() if content.name == name]
            known = {content.name for content in self._there.values()}
        if not called:
            raise NameRefused(f"'{name}' is not loaded.{nearest(name, known)}")
        for it in called:
            self._unload(it)

    def answer(self, entered: Entered) -> Iterator[Piece | Ended]:
        """See `Peer`."""
        ask, end, usage = entered.ask, None, None
        called = _called(entered.content) if entered.content else self._name
        try:
            for said in self._remote.events("/v1/completions", self._asked(entered, called)):
                if said.get("error"):
                    raise EngineGone(f"vLLM answers: {said['error']}")
                usage = said.get("usage") or usage
                for choice in said.get("choices", ()):
                    end = choice.get("finish_reason") or end
                    if choice.get("text") or choice.get("logprobs"):
                        yield from _pieces(choice, ask.logprobs)
        except EngineGone:
            with self._lock:
                # It may have been begun anew, without what we loaded.
                self._there.pop(called, None)
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
        self._remote.post("/v1/unload_lora_adapter", {"lora_name": called})

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
