"""The honest report: is the adapter better than the base, or than simply showing it the examples?

Every example is held out once. All folds' adapters are trained together, as slots of one bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from headstart.bank import Bank, Weights
from headstart.episode import Example
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.context import Context, common, losses_after
from headstart.lm.generate import Sampling, generate
from headstart.lm.graft import Grafted
from headstart.lm.objective import Lowered, example_losses
from headstart.teach.fit import Tick, fit
from headstart.teach.recipe import Recipe
from headstart.train.evaluate import exact, folds, mean

Way = Literal["base", "prompt", "adapter"]
SPARE = 16
"""Tokens an answer may run on past the longest expected one, so that a wrong one can be read."""


@final
@dataclass(frozen=True)
class Score:
    """How well one way of asking does on examples that it was not shown."""

    exact_match: float
    loss: float


@final
@dataclass(frozen=True)
class Answer:
    """One example, and what each way answered while it was held out."""

    prompt: str
    expected: str
    got: dict[Way, str]


@final
@dataclass(frozen=True)
class Report:
    """Held-out scores of the three ways."""

    scores: dict[Way, Score]
    answers: list[Answer]
    folds: int
    shown: int
    """examples in front of each question for the `prompt` score"""

    @property
    def verdict(self) -> Way:
        """The way with the most exact matches; among equals the one with the lowest loss."""
        return max(self.scores, key=lambda way: (self.scores[way].exact_match, -self.scores[way].loss))

    @property
    def advice(self) -> str:
        """What to do, in a sentence."""
        best = self.scores[self.verdict].exact_match
        if self.verdict == "adapter":
            weak = " Few answers are right word for word yet: more examples that show each construct twice will help most." if best < 0.5 else ""
            return "Use the adapter: it does better on held-out examples than the base and than the examples in the prompt." + weak
        if self.verdict == "prompt":
            return "Keep the examples in the prompt: held out, that beats this adapter. Give more examples, each construct twice, or more --steps."
        return "Use the base as it is: neither the adapter nor the examples in the prompt improve on it. Look for examples that contradict each other."


def report(
    net: Grafted,
    chat: Chat,
    examples: Sequence[Example],
    encoded: Sequence[Encoded],
    lowered: Lowered,
    begin: Weights,
    recipe: Recipe,
    tick: Tick,
) -> Report:
    """Hold every example out once and score the three ways on it.

    Args:
        net: the grafted model.
        chat: its template.
        examples: two at least.
        encoded: the same in tokens.
        lowered: their kept lower layers.
        begin: where adapters begin.
        recipe: as for the adapter itself.
        tick: told after each step of the folds' training.
    """
    parts = folds(len(examples), recipe.folds, recipe.seed)
    slot_of = {i: slot for slot, part in enumerate(parts, start=1) for i in part}
    rows = [(slot, encoded[i]) for slot in range(1, len(parts) + 1) for i in range(len(examples)) if slot_of[i] != slot]
    bank, _ = fit(net, begin, rows, lowered, recipe, tick)

    count = len(examples)
    worn = [0] * count + [slot_of[i] for i in range(count)]
    losses = example_losses(net, bank, list(zip(worn, [*encoded, *encoded], strict=True)), lowered).tolist()
    texts = generate(net, chat, bank, worn, [e.prompt for e in encoded] * 2, _sampling(encoded))
    prompted, prompt_losses, shown = _prompted(net, chat, bank, examples, parts, _sampling(encoded))

    got: dict[Way, list[str]] = {"base": texts[:count], "prompt": prompted, "adapter": texts[count:]}
    lost: dict[Way, list[float]] = {"base": losses[:count], "prompt": prompt_losses, "adapter": losses[count:]}
    scores = {way: Score(mean([exact(e.completion, t) for e, t in zip(examples, got[way], strict=True)]), mean(lost[way])) for way in got}
    answers = [Answer(e.prompt, e.completion, {way: got[way][i] for way in got}) for i, e in enumerate(examples)]
    return Report(scores, answers, len(parts), shown)


def _sampling(encoded: Sequence[Encoded]) -> Sampling:
    return Sampling(max_tokens=max(len(e.completion) for e in encoded) + SPARE)


def _prompted(
    net: Grafted, chat: Chat, bank: Bank, examples: Sequence[Example], parts: Sequence[Sequence[int]], sampling: Sampling
) -> tuple[list[str], list[float], int]:
    """The base's answers and losses with the other folds' examples in front, and how many of them fitted."""
    texts, losses, least = [""] * len(examples), [0.0] * len(examples), len(examples)
    for part in parts:
        before = [examples[i] for i in range(len(examples)) if i not in part]
        asked, used = in_context(chat, before, [examples[i] for i in part], sampling.max_tokens)
        least = min(least, used)
        shared = common([e.prompt for e in asked])
        rest = [replace(e, prompt=e.prompt[len(shared) :]) for e in asked]
        context = Context.of(net, bank, 0, shared)
        for i, text, loss in zip(
            part,
            generate(net, chat, bank, [0] * len(part), [e.prompt for e in rest], sampling, context),
            losses_after(context, bank, rest).tolist(),
            strict=True,
        ):
            texts[i], losses[i] = text, loss
    return texts, losses, least


def in_context(chat: Chat, shown: Sequence[Example], asked: Sequence[Example], room: int) -> tuple[list[Encoded], int]:
    """Questions with worked examples in front, as many as the context holds beside `room` tokens of answer.

    Returns:
        The questions in tokens, and how many examples stand before each.
    """
    for used in range(len(shown), -1, -1):
        rows = [chat.lay(e, shown[:used]) for e in asked]
        if max(len(r) for r in rows) + room <= chat.context or used == 0:
            return rows, used
    raise AssertionError("unreachable: with no examples shown the loop has returned")
