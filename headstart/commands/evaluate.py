"""`headstart eval`: a file of examples as a test."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart import screen
from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.bank import Bank, fill
from headstart.commands.opening import open_base
from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.chat import Chat
from headstart.lm.generate import Sampling, generate
from headstart.lm.graft import Grafted
from headstart.lm.objective import example_losses, lower
from headstart.tasks.texts import read_examples
from headstart.teach import Recipe, graft, teach
from headstart.teach.report import SPARE
from headstart.train.evaluate import exact, interval, mean, mean_interval

ROWS = 16
"""Examples answered at once."""


def run(path: Path, adapter: str | None, shots: int | None, base_name: str | None, seed: int, as_json: bool) -> None:
    """Read, answer, score, tell."""
    if adapter is not None and shots is not None:
        raise ExamplesError("--adapter scores an adapter that is there, --shots makes one for the test: give one of the two.")
    shelf = Shelf()
    if adapter is not None:
        shelf.known(adapter)
    examples = read_examples(path, least=1 if shots is None else shots + 1)
    base = open_base(base_name)
    with screen.progress() as tell:
        if shots is None:
            net, bank, slot = wear(base, shelf, adapter)
        else:
            support = sorted(random.Random(seed).sample(range(len(examples)), shots))
            recipe = Recipe(folds=0, seed=seed)
            taught = teach(base, [examples[i] for i in support], recipe, progress=tell)
            net, bank, slot = graft(base, recipe), fill(taught.weights, 1), 1
            examples = [e for i, e in enumerate(examples) if i not in set(support)]
        texts, losses = answer(net, base.chat, bank, slot, examples, lambda i, n: tell("answering", i, n))
    facts = score(examples, texts, losses) | {"adapter": adapter, "shots": shots, "base": base.name}
    screen.emit(facts) if as_json else show(facts)


def answer(net: Grafted, chat: Chat, bank: Bank, slot: int, examples: Sequence[Example], tick: Any) -> tuple[list[str], list[float]]:
    """Greedy answers and completion losses, in the order of the examples."""
    encoded = [chat.example(e) for e in examples]
    sampling = Sampling(max_tokens=max(len(e.completion) for e in encoded) + SPARE)
    texts: list[str] = []
    losses: list[float] = []
    for i in range(0, len(encoded), ROWS):
        rows = encoded[i : i + ROWS]
        texts += generate(net, chat, bank, [slot] * len(rows), [e.prompt for e in rows], sampling)
        losses += example_losses(net, bank, [(slot, e) for e in rows], lower(net, rows)).tolist()
        tick(min(i + ROWS, len(encoded)), len(encoded))
    return texts, losses


def score(examples: Sequence[Example], texts: Sequence[str], losses: Sequence[float]) -> dict[str, Any]:
    """What `eval --json` prints of the answers."""
    share = mean([exact(e.completion, t) for e, t in zip(examples, texts, strict=True)])
    return {
        "exact_match": share,
        "exact_match_interval": interval(share, len(examples)),
        "loss": mean(losses),
        "loss_interval": mean_interval(losses),
        "count": len(examples),
        "predictions": [{"prompt": e.prompt, "expected": e.completion, "got": t} for e, t in zip(examples, texts, strict=True)],
    }


def show(facts: dict[str, Any]) -> None:
    """The scores, and the answers side by side, for people."""
    rows = [(p["prompt"], p["expected"], {"got": p["got"]}) for p in facts["predictions"]]
    screen.OUT.print(screen.answers(rows, f"{facts['count']} questions"))
    low, high = facts["exact_match_interval"]
    few, many = facts["loss_interval"]
    screen.OUT.print(
        f"exact match {100 * facts['exact_match']:.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f}), "
        f"loss {facts['loss']:.3f} ({few:.3f} to {many:.3f}), {facts['count']} questions",
        highlight=False,
    )
