"""The ways in which a load is served: by our engine, and by PEFT."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.serve.apart import apart
from headstart.serve.engine import Running
from headstart.serve.request import Ask, Ended, Piece, Stream
from headstart.teach import Recipe, graft

if TYPE_CHECKING:
    from peft import PeftModel


Way = Callable[[], float]
"""Serves the whole load; tokens a second, prompt's not counted."""


def fill_shelf(base: Base, shelf: Shelf, count: int) -> list[str]:
    """Adapters like those that `headstart adapt` makes."""
    net = graft(base, Recipe())
    names = [f"task{i}" for i in range(count)]
    for i, name in enumerate(names):
        chance = torch.Generator().manual_seed(i)
        weights = {n: w if n.endswith("A") else 0.01 * torch.randn(w.shape, generator=chance) for n, w in net.blank(i).items()}
        shelf.write(name, weights, {"base": asdict(key_of(base))}, base.layers)
    net.remove()
    return names


def text(base: Base, length: int, seed: int) -> str:
    """So many tokens, which their own text gives again: words, or letters where a token is a byte."""
    rng = random.Random(seed)
    words = [w for w in (f" {a}{b}" for a in "bcdfglmnprst" for b in ("at", "en", "is", "or", "un")) if len(base.chat.plain(w)) == 1]
    words = words or list("bcdfghklmnprstvw")
    return "".join(rng.choice(words) for _ in range(length))


def drained(stream: Stream) -> tuple[str, Ended]:
    """All that it says, and its end, which is no error."""
    said = ""
    while isinstance(it := stream.next(timeout=300), Piece):
        said += it.text
    assert isinstance(it, Ended)
    assert not it.error, it.error
    return said, it


def ours(base: Base, engine: Running, names: list[str | None], prompts: list[str], config: dict[str, Any]) -> Way:
    def serve() -> float:
        since, made = time.perf_counter(), 0
        sampling = Sampling(max_tokens=config["new"])
        for stream in [engine.submit(Ask(name, prompt, sampling)) for name, prompt in zip(names, prompts, strict=True)]:
            made += drained(stream)[1].completion_tokens
        return made / (time.perf_counter() - since)

    return serve


def theirs(model: PeftModel, base: Base, names: list[str], prompts: list[str], config: dict[str, Any], one_by_one: bool) -> Way:
    """PEFT as documented: a batch under `adapter_names`, or each request after `set_adapter`."""
    ids = torch.tensor([base.chat.plain(prompt) for prompt in prompts], device=base.model.device)
    settings = {"max_new_tokens": config["new"], "min_new_tokens": config["new"], "do_sample": False, "pad_token_id": 0}

    def serve() -> float:
        since = time.perf_counter()
        with torch.inference_mode():
            if one_by_one:
                for name, row in zip(names, ids, strict=True):
                    model.set_adapter(name)
                    model.generate(input_ids=row[None], attention_mask=torch.ones_like(row[None]), **settings)
            else:
                model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), adapter_names=names, **settings)
        return len(names) * config["new"] / (time.perf_counter() - since)

    return serve


@contextmanager
def up(base: Base, shelf: Shelf, kept: int = 0, **settings: Any) -> Iterator[Running]:
    """An engine in a thread of its own; if nothing else is said it keeps nothing of what it read: every prompt is read anew."""
    engine = apart(lambda: Running(base, shelf, kept=kept, **settings))
    try:
        yield engine
    finally:
        engine.stop()


def note(done: dict[str, list[float]], way: str, speed: float) -> None:
    done.setdefault(way, []).append(speed)
    print(f"{way}: {speed:.1f} tokens a second", flush=True)
