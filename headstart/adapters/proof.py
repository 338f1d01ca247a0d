"""Does another engine say the same? Log-probabilities of next tokens there and here, against how far the bare bases differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch

from headstart.adapters.wear import Worn
from headstart.bank import BASE
from headstart.episode import Example
from headstart.errors import EngineGone
from headstart.lm.batch import Batch, Encoded
from headstart.lm.chat import Chat
from headstart.train.evaluate import mean

Likely = Mapping[int, float]
"""Token -> its log-probability, of the likeliest."""
There = Callable[[Sequence[int], bool], Likely]
"""Another engine: (tokens, whether under the adapter) -> the likeliest next ones."""
TIMES, SHARE = 2.0, 0.05
"""An adapter is the same there if it differs by no more than so many times what the bases differ by, and such a share of what it moves at
all: engines round a LoRA's products in precisions of their own."""
_TEXTS = ("Hello", "What is the capital of France?", "Write a line about the sea.", "List the users who came in May", "2 + 3 =")


@final
@dataclass(frozen=True)
class Proof:
    """How far another engine is from here, in nats, averaged over the likeliest tokens at every probe."""

    adapter: float
    """Both under the adapter."""
    base: float
    """Both bare: packing and arithmetic alone."""
    moved: float
    """The adapter against the bare base, both here: what would be seen if it were not worn there at all."""
    probes: int

    @property
    def same(self) -> bool:
        """Whether the adapter says there what it says here."""
        return self.adapter <= TIMES * self.base + SHARE * self.moved


def probes(chat: Chat, before: Sequence[Example], system: str = "") -> list[tuple[int, ...]]:
    """Prompts in tokens: of the adapter's own examples and some of anybody's, at the answer's beginning and a few tokens before."""
    asked = [*before, *(Example.pair(text, "").under(system) for text in _TEXTS)]
    whole = [chat.prompt(example.messages[:-1]) for example in asked]
    return [*whole, *(tokens[: max(2, len(tokens) - 4)] for tokens in whole)]


def prove(worn: Worn, tokens: Sequence[Sequence[int]], there: There) -> Proof:
    """Ask both engines, with the adapter and without.

    Args:
        worn: the base with the adapter.
        tokens: see `probes`.
        there: the other engine; a probe of which it tells nothing is passed over.

    Raises:
        EngineGone: it told nothing of any.
    """
    apart: dict[bool, list[float]] = {True: [], False: []}
    moved = []
    for prompt in tokens:
        said = {on: there(prompt, on) for on in (True, False)}
        if not all(said.values()):
            continue
        here = {on: _here(worn, prompt, on) for on in (True, False)}
        for on in (True, False):
            apart[on].append(mean([abs(float(here[on][token]) - logprob) for token, logprob in said[on].items()]))
        moved.append(mean([abs(float(here[True][token] - here[False][token])) for token in said[True]]))
    if not moved:
        raise EngineGone("The other engine told no log-probability at any probe.")
    return Proof(mean(apart[True]), mean(apart[False]), mean(moved), len(moved))


def _here(worn: Worn, prompt: Sequence[int], on: bool) -> torch.Tensor:
    """Log-probabilities of the next token, (vocabulary,)."""
    slot = torch.tensor([worn.slot if on else BASE], device=worn.net.device)
    # What the next token is, is asked: any does.
    batch = Batch.of([Encoded(tuple(prompt), (0,))], device=slot.device)
    with torch.inference_mode():
        logits = worn.net(worn.bank, slot, batch)
    return torch.log_softmax(logits[0].float(), -1).cpu()
