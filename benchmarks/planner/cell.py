"""One setting in a process of its own: what each phase of the real code takes at most, as the system counts it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

import judge
from drawn import base_of
from heights import height, held

from headstart.episode import Drawn, Example
from headstart.heap import lean
from headstart.learners.gradient import Maml
from headstart.lm.attention import SPREAD, settle
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, hush
from headstart.lm.talk import Talk
from headstart.plan.setting import Setting
from headstart.teach.lesson import teach
from headstart.teach.recipe import Recipe
from headstart.teach.room import setting_of

CPU = torch.device("cpu")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


Phase = Callable[[Callable[[], Any]], tuple[Any, int]]
"""Does work: what it gives, and the height of memory meanwhile."""


def phase(work: Callable[[], Any]) -> tuple[Any, int]:
    """Of resident memory."""
    done, facts = height(work, CPU)
    return done, facts["peak"]


def worked(chat: Chat, length: int, answer: int, number: int) -> Example:
    """An example of so many tokens, so many of them its answer."""

    def made(asked: int, said: int) -> Example:
        filler = (LETTERS[number % 26] + " ") * 4096
        return Example((("user", filler[: 2 * asked]), ("assistant", filler[: 2 * said])))

    def tuned(measure: Callable[[int], int], wanted: int) -> int:
        low, high = 0, wanted
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if measure(middle) <= wanted else (low, middle - 1)
        return low

    said = tuned(lambda n: len(chat.lay(made(1, n)).completion), answer)
    return made(tuned(lambda n: len(chat.lay(made(n, said))), length), said)


def adapt(base: Base, setting: Setting, examples: list[Example], phase: Phase) -> int:
    """The inner loop and, with folds, the report, by the functions that the command calls."""
    recipe = Recipe(
        steps=3,
        rank=setting.rank,
        target=setting.target,
        layers=tuple(range(setting.lowest, base.model.config.num_hidden_layers)),
        folds=setting.folds,
        checkpoint=setting.checkpoint,
        piece=setting.piece,
        asked=setting.asked,
        prefix=setting.prefix,
    )
    return phase(lambda: teach(base, examples, recipe))[1]


def meta(base: Base, setting: Setting, examples: list[Example], phase: Phase) -> int:
    """One meta-gradient of MAML."""
    net = Grafted(base.model, setting.target, range(setting.lowest, base.model.config.num_hidden_layers), setting.rank)
    learner = Maml(net, steps=setting.inner, order=1 if setting.order == 1 else 2)
    support, query = examples[: setting.examples], examples[setting.examples :]
    chat = base.chat
    shown = Talk(((chat.chain(support),),) * setting.tasks, base.model.device)
    asked = Talk((tuple(chat.lay(it, support) for it in query),) * setting.tasks, base.model.device)
    begun = learner.begin(0)

    def steps() -> None:
        for _ in range(2):
            learner.meta_gradient(begun, Drawn(shown, asked))

    try:
        return phase(steps)[1]
    finally:
        net.remove()


def full(base: Base, setting: Setting, examples: list[Example], phase: Phase) -> int:
    """Two steps of plain fine-tuning by AdamW, as transformers' own loss has it."""
    rows = min(setting.examples, max(1, setting.piece // setting.length))
    ids = torch.tensor([list(base.chat.lay(it).tokens) for it in examples[:rows]], device=base.model.device)
    base.model.requires_grad_(True)
    if base.model.config._attn_implementation == SPREAD:
        # As who does not use headstart has it.
        base.model.set_attn_implementation("sdpa")
    optimiser = torch.optim.AdamW(base.model.parameters(), lr=1e-5)

    def steps() -> None:
        for _ in range(2):
            optimiser.zero_grad()
            base.model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
            optimiser.step()

    try:
        return phase(steps)[1]
    finally:
        optimiser.zero_grad()
        settle(base.model.requires_grad_(False))


def serve(base: Base, setting: Setting, examples: list[Example], phase: Phase) -> int:
    """The engine under as many requests as it answers at once, each of its own adapter in turn."""
    import tempfile

    from headstart.adapters.store import Shelf
    from headstart.adapters.wear import key_of
    from headstart.lm.generate import Sampling
    from headstart.serve.engine import Running
    from headstart.serve.request import Ask, Ended

    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        net = Grafted(base.model, setting.target, range(setting.lowest, base.model.config.num_hidden_layers), setting.rank)
        layers, key = net.layers, vars(key_of(base))
        for i in range(setting.adapters):
            shelf.write(f"a{i}", net.blank(i), {"base": key}, layers)
        net.remove()
        prompts = [worked(base.chat, setting.context - 16, 8, i).messages[:-1] for i in range(setting.rows)]

        def answered() -> None:
            engine = Running(base, shelf, rows=setting.rows)
            try:
                asks = [Ask(f"a{i % setting.adapters}", m, Sampling(16)) for i, m in enumerate(prompts)]
                for stream in [engine.submit(ask) for ask in asks]:
                    while not isinstance(ended := stream.next(timeout=600), Ended):
                        pass
                    if ended.error:
                        raise RuntimeError(ended.error)
            finally:
                engine.stop()

        return phase(answered)[1]


WAYS = {"adapt": adapt, "meta-train": meta, "full": full, "serve": serve}


def main() -> None:
    cell = json.loads(sys.argv[1])
    setting = judge.setting_of(cell)
    hush()
    if cell.get("heap") == "lean":
        lean()
    found: dict[str, Any] = {"process": held(CPU)}
    base, found["load"] = phase(lambda: base_of(cell["config"], setting.precision))
    found["base"] = held(CPU)
    more = setting.queries if cell["for"] == "meta-train" else 0
    examples = [worked(base.chat, setting.length, setting.answer, i) for i in range(setting.examples + more)]
    one = base.chat.lay(examples[0])
    found["length"], found["answer"] = len(one), len(one.completion)
    found["head"] = setting_of(base, examples, Recipe(prefix=setting.prefix)).head
    found[cell["for"]] = WAYS[cell["for"]](base, setting, examples, phase)
    found["parameters"] = sum(p.numel() for p in base.model.parameters())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
