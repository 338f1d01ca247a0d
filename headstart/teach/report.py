"""The honest report: is the adapter better than the base, or than simply showing it the examples?

Every example is held out once, and asked once however often it is given: copies are no answers of their own. All folds' adapters are
trained together, as slots of one bank.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import final

from headstart.bank import BASE, Bank, Weights
from headstart.episode import Example, exact, right
from headstart.errors import Diverged
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.teach.asking import answers
from headstart.teach.fit import Tick, fit
from headstart.teach.recipe import Recipe
from headstart.terms import SHOWN
from headstart.train.adapt import MEND
from headstart.train.evaluate import clearly_more, distinct, folds, mean

WAYS = ("base", "prompt", "weights", "prefixed")
"""The bare base; the base behind the examples; the adapter's weights alone; the adapter behind the examples."""
SCRATCH = "scratch"
"""A further way, where it is asked for: an adapter that began from no start, as it would be used. It never is the verdict."""


_SIGNS = re.compile(r"""\w+|[()\[\]{},;'"`]|[^\w\s()\[\]{},;'"`]+""")
"""A word, a bracket, a quote or a separator, or other signs in a row."""


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
    got: dict[str, str]
    """way -> answer"""


@final
@dataclass(frozen=True)
class Report:
    """Held-out scores of all ways that were tried."""

    ways: dict[str, Score]
    """see `WAYS`"""
    answers: list[Answer]
    folds: int
    shown: int
    """examples in front of the middling question of the ways that show some, in the fold of the fewest; 0 where none fitted, or no way
    shows any"""
    chosen: bool = False
    """whether the adapter's beginning is the one of several that did best on these same examples"""

    @property
    def keeps_prefix(self) -> bool:
        """Whether the adapter does better behind its examples than alone: by loss, as ten answers right or wrong tell too little."""
        return "prefixed" in self.ways and self.ways["prefixed"].loss < self.ways["weights"].loss

    @property
    def scores(self) -> dict[str, Score]:
        """base, prompt and adapter; the adapter as it will be used, with its examples in front or without."""
        adapter = self.ways["prefixed" if self.keeps_prefix else "weights"]
        return {"base": self.ways["base"], "prompt": self.ways["prompt"], "adapter": adapter}

    @property
    def verdict(self) -> str:
        """base, prompt or adapter: of those within one right answer of the best, the one with the lowest loss.

        One answer in ten is a throw of a coin; the loss has measured every token.
        """
        best = max(score.exact_match for score in self.scores.values())
        near = [way for way, score in self.scores.items() if (best - score.exact_match) * len(self.answers) < 1.5]
        return min(near, key=lambda way: self.scores[way].loss)

    @property
    def clear(self) -> bool:
        """Whether the verdict's way is right more often than each of the others, beyond chance."""
        used = {"adapter": "prefixed" if self.keeps_prefix else "weights"}
        hits = {way: [exact(a.expected, a.got[used.get(way, way)]) for a in self.answers] for way in self.scores}
        return all(clearly_more(hits[self.verdict], hits[way]) for way in hits if way != self.verdict)

    @property
    def advice(self) -> str:
        """What to do, in a few sentences."""
        advice = {
            "adapter": "Use the adapter: held out, it does better than the base and than the examples in the prompt.",
            "prompt": "Keep the examples in the prompt: held out, that does better than this adapter. "
            "More examples, each construct twice, or more --steps may turn it.",
            "base": "Use the base as it is: neither the adapter nor the examples in the prompt improve on it. "
            "Look for examples that contradict each other.",
        }[self.verdict]
        if self.scores[self.verdict].exact_match < max(score.exact_match for score in self.scores.values()):
            advice += " That goes by the loss, how likely right answers are: another way has one more of them right."
        if self.chosen and self.verdict == "adapter":
            advice += " Its score is a little too good: what it began from was chosen on these same examples."
        if not self.clear:
            advice += " On so few examples the lead may be chance."
        if self.verdict == "adapter" and self.scores["adapter"].exact_match < 0.5:
            advice += " Many answers are not yet right word for word: more examples, each construct twice, help most."
        return advice


@final
@dataclass(frozen=True)
class Folds:
    """Adapters each of which has not seen some of the examples."""

    parts: list[list[int]]
    """The examples that slot 1, 2, … has not seen, by index; of equal ones the first stands for all."""
    rest: dict[int, list[Example]]
    """Slot -> those that it was taught."""
    bank: Bank
    """Name -> (slots, ...)."""


def hold_out(net: Grafted, chat: Chat, examples: Sequence[Example], begin: Weights, recipe: Recipe, tick: Tick) -> Folds:
    """Teach an adapter for each fold, all at once.

    Args:
        net: the grafted model.
        chat: its template.
        examples: two at least that differ; equal ones are in one fold.
        begin: where adapters begin.
        recipe: as for the adapter itself.
        tick: told after each step.

    Raises:
        ExamplesError: all are equal.
        Diverged: a loss is not finite.
    """
    each = distinct(examples, least=2)
    dealt = [{each[i] for i in part} for part in folds(len(each), recipe.folds, recipe.seed)]
    first = {e: i for i, e in reversed([*enumerate(examples)])}
    parts = [sorted(first[e] for e in part) for part in dealt]
    rest = {slot: [e for e in examples if e not in part] for slot, part in enumerate(dealt, start=1)}
    return Folds(parts, rest, fit(net, chat, begin, rest, recipe, tick)[0])


def report(
    net: Grafted,
    chat: Chat,
    examples: Sequence[Example],
    held: Folds,
    recipe: Recipe,
    tick: Tick = lambda *_: None,
    ways: Sequence[str] = WAYS,
) -> Report:
    """Score all ways on every example that differs, each asked of the adapter that has not seen it.

    Args:
        net: the grafted model.
        chat: its template.
        examples: two at least.
        held: the folds' adapters, taught on the same net.
        recipe: whether adapters are asked behind their examples too, and how many questions at once.
        tick: told (answered, all) now and then, with the share of each way's answers so far that are right.
        ways: those that are wanted.

    Raises:
        Diverged: a loss is no number, and neither is a mean of it.
    """
    got: dict[str, dict[int, str]] = {way: {} for way in ways if recipe.prefix or way != "prefixed"}
    lost: dict[str, dict[int, float]] = {way: {} for way in got}
    each = sorted(chain(*held.parts))
    shown: list[int] = []
    hits: dict[str, list[bool]] = {}
    for way in got:
        for slots, before, asked in _posed(way, held):
            said = answers(net, chat, held.bank, slots, before, [examples[i] for i in asked], at_once=recipe.asked)
            shown += [said.usual] if before else []
            for i, text, loss in zip(asked, said.texts, said.losses, strict=True):
                got[way][i], lost[way][i] = text, loss
                hits.setdefault(way, []).append(exact(examples[i].completion, text))
            tick(sum(map(len, hits.values())), len(got) * len(each), {way: mean(it) for way, it in hits.items()})
    asked_once = [examples[i] for i in each]
    scores = {way: Score(right(asked_once, [got[way][i] for i in each]), mean([lost[way][i] for i in each])) for way in got}
    if wrong := [way for way, score in scores.items() if not math.isfinite(score.loss)]:
        raise Diverged(f"The loss of held-out examples is no number ({', '.join(wrong)}): {MEND} may help.")
    answered = [Answer(e.prompt, e.completion, {way: got[way][i] for way in got}) for i, e in zip(each, asked_once, strict=True)]
    return Report(scores, answered, len(held.parts), min(shown, default=0))


def shown_once(examples: Sequence[Example]) -> list[str]:
    """Words and signs of the answers that one example alone shows, and that it does not say in what is asked; in their order.

    Numbers are left out: they are values more often than parts of a language. So is everything where it is more than half of all that is
    said: then each answer is a value of its own.
    """
    said = [dict.fromkeys(_SIGNS.findall(example.completion)) for example in examples]
    count = Counter(sign for signs in said for sign in signs)
    asked = [set(_SIGNS.findall(" ".join(text for _, text in example.messages[:-1]).casefold())) for example in examples]
    once = [
        sign
        for signs, given in zip(said, asked, strict=True)
        for sign in signs
        if count[sign] == 1 and not sign.isdigit() and sign.casefold() not in given
    ]
    return once if 2 * len(once) <= len(count) else []


def _posed(way: str, held: Folds) -> Iterator[tuple[list[int], list[Example], list[int]]]:
    """What is asked together: each question's slot, what stands in front of all of them, and the questions.

    Behind examples each fold's, as each has others, and no more than are kept; those of all folds where nothing stands in front.
    """
    worn = [[slot if way in ("weights", "prefixed") else BASE] * len(part) for slot, part in enumerate(held.parts, 1)]
    if way in ("prompt", "prefixed"):
        yield from zip(worn, [rest[:SHOWN] for rest in held.rest.values()], held.parts, strict=True)
    else:
        yield list(chain(*worn)), [], list(chain(*held.parts))
