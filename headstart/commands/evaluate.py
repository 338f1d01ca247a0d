"""`headstart eval`: a file of examples as a test."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart import screen
from headstart.adapters.beginnings import AUTO, beginnings
from headstart.adapters.store import Shelf
from headstart.adapters.wear import Worn, wear
from headstart.bank import fill
from headstart.commands.opening import base_of, open_base
from headstart.commands.overlong import refuse_overlong
from headstart.episode import Example, right
from headstart.errors import ExamplesError
from headstart.lm.load import Base
from headstart.tasks.texts import numbered
from headstart.teach import Recipe, graft, teach_from
from headstart.teach.asking import answer
from headstart.teach.choose import Progress
from headstart.teach.room import within
from headstart.terms import counted
from headstart.train.evaluate import distinct, interval, loss_interval, mean


def run(path: Path, adapter: str | None, shots: int | None, base_name: str | None, precision: str | None, seed: int, as_json: bool) -> None:
    """Read, answer, score, tell; where some rows are taught and others asked, repeats are left out."""
    if adapter is not None and shots is not None:
        raise ExamplesError("--adapter scores an adapter that is there, --shots makes one for the test: give one of the two.")
    shelf = Shelf()
    if adapter is not None:
        shelf.known(adapter)
    rows = numbered(path, least=1 if shots is None else shots + 1)
    examples = [row for _, row in rows]
    if shots is not None:
        examples = distinct(examples, shots + 1)
    base = open_base(base_of(shelf, adapter, base_name), precision, "adapt")
    with screen.progress() as tell:
        if shots is None:
            worn = wear(base, shelf, adapter)
            refuse_overlong(base, path, rows, worn.system)
        else:
            refuse_overlong(base, path, rows)
            support = set(random.Random(seed).sample(range(len(examples)), shots))
            worn = taught_on(base, [e for i, e in enumerate(examples) if i in support], seed, tell)
            examples = [e for i, e in enumerate(examples) if i not in support]
        if shown := len({*examples} & {*worn.before}):
            screen.warn(
                f"{shown} of the {len(examples)} rows stand in front of every question, and are answered by copying: leave them out."
            )
        asked = [it.under(worn.system) for it in examples]
        answers = answer(worn.net, base.chat, worn.bank, worn.slot, worn.before, asked, lambda i, n: tell("answering", i, n))
    if few := sum(shown < len(worn.before) for shown in answers.shown):
        screen.warn(f"{few} of the {len(examples)} questions leave room for fewer of the {len(worn.before)} examples in front of them.")
    facts = score(examples, answers.texts, answers.losses) | {"adapter": adapter, "shots": shots, "base": base.name}
    screen.emit(facts) if as_json else show(facts)


def taught_on(base: Base, support: Sequence[Example], seed: int, tell: Progress) -> Worn:
    """An adapter made for the test alone, kept nowhere: as `adapt` makes it, from the start that does best, in the room that there is."""
    begun = beginnings(base, AUTO, Recipe(seed=seed), screen.warn, len(support))
    taught = within(base, support, begun, lambda ways: teach_from(base, support, ways, tell), screen.warn)
    return Worn(graft(base, taught.beginning.recipe), fill(taught.weights, 1), 1, list(taught.prefix))


def score(examples: Sequence[Example], texts: Sequence[str], losses: Sequence[float]) -> dict[str, Any]:
    """What `eval --json` prints of the answers."""
    share = right(examples, texts)
    return {
        "exact_match": share,
        "exact_match_interval": interval(share, len(examples)),
        "loss": mean(losses),
        "loss_interval": loss_interval(losses),
        "count": len(examples),
        "predictions": [{"prompt": e.prompt, "expected": e.completion, "got": t} for e, t in zip(examples, texts, strict=True)],
    }


def show(facts: dict[str, Any]) -> None:
    """The scores, and the answers side by side, for people."""
    rows = [(p["prompt"], p["expected"], {"got": p["got"]}) for p in facts["predictions"]]
    screen.OUT.print(screen.answers(rows, counted(facts["count"], "question")))
    low, high = facts["exact_match_interval"]
    few, many = facts["loss_interval"]
    screen.say(
        f"exact match {100 * facts['exact_match']:.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f}), "
        f"loss {facts['loss']:.3f} ({few:.3f} to {many:.3f}), {counted(facts['count'], 'question')}"
    )
