"""Greedy answers to questions whose right answers are known: one reading scores the right one, and spares all of it that is answered.

A token that is chosen where the right answer has the same one needs no pass of its own, as the right answer has been read already. So an
answer grows from where the two part; where they do not, it is there at once.

Source: Leviathan et al. 2023, speculative decoding, section 2.1, for greedy choices, with the right answer as the draft.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from headstart.bank import Bank
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.generate import Growing, Sampling, go_on, likeliest, room, sure
from headstart.lm.graft import Grafted
from headstart.lm.hooked import Hooked
from headstart.lm.packed import Packed, reader
from headstart.lm.places import Kv, Places, Turn, common
from headstart.loss import row_losses, token_losses


@final
@dataclass(frozen=True)
class Said:
    """One answer, and how surprising the right one was."""

    text: str
    loss: float
    """mean loss a token of the right answer"""


def expect(
    net: Grafted,
    chat: Chat,
    bank: Bank,
    asked: Sequence[tuple[int, Encoded]],
    most: int,
    at_once: int,
    tick: Callable[[int, int], None] = lambda *_: None,
) -> list[Said]:
    """Answer every question, in the order asked.

    What all of them begin with is read once under each slot.

    Args:
        net: the grafted model.
        chat: its tokenizer and template.
        bank: name -> (slots, ...).
        asked: (slot, question with its right answer), one at least.
        most: tokens that an answer may have.
        at_once: questions that share a pass.
        tick: told (answered, all).

    Raises:
        ExamplesError: a question leaves no room in the context window.
        Diverged: the model gives no number for a next token.
    """
    read, shared = reader(net), beginning([e.prompt for _, e in asked])
    said: list[Said] = []
    with torch.inference_mode():
        begun = _begun(read, bank, {slot for slot, _ in asked}, shared)
        for i in range(0, len(asked), at_once):
            group = asked[i : i + at_once]
            rows = [_Row(slot, e, Growing(chat, Sampling(room(chat, len(e.prompt), most)))) for slot, e in group]
            said += _answered(net, read, bank, begun, rows, len(shared))
            tick(len(said), len(asked))
    return said


def judged(net: Grafted, bank: Bank, asked: Sequence[tuple[int, Encoded]], at_once: int) -> list[float]:
    """The losses alone, of what `expect` tells; see there."""
    read, shared, losses = reader(net), beginning([e.prompt for _, e in asked]), []  # type: Packed | Hooked, tuple[int, ...], list[float]
    with torch.inference_mode():
        begun = _begun(read, bank, {slot for slot, _ in asked}, shared)
        for i in range(0, len(asked), at_once):
            group = asked[i : i + at_once]
            places = Places(len(group), max(len(e) for _, e in group))
            reaching = read.reach(places, bank, _sat(places, begun, group, len(shared)))
            labels, owner = _targets(group, reaching.device)
            losses += row_losses(net.losses_of(reaching, labels), owner, len(group)).tolist()
    return losses


def beginning(prompts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The longest beginning that all prompts share, short of any whole prompt."""
    return tuple(prompts[0][: min(common(prompts[0], prompt) for prompt in prompts)])


@final
@dataclass(frozen=True)
class _Row:
    slot: int
    asked: Encoded
    answer: Growing

    def judge(self, best: Sequence[int | None]) -> None:
        """Grow along the right answer, and by the first token that differs."""
        for token, right in zip(best, self.asked.completion, strict=True):
            if self.answer.ended or self.answer.grow(sure(token)) != right:
                break


def _begun(read: Packed | Hooked, bank: Bank, slots: Collection[int], shared: Sequence[int]) -> dict[int, Kv]:
    """What all rows of a slot begin with, by slot."""
    places = Places(len(slots), len(shared))
    rows = {slot: places.join([], 0) for slot in slots}
    if shared:
        read.reach(places, bank, [Turn(at, slot, shared) for slot, at in rows.items()])
    return {slot: places.copy(at, len(shared)) for slot, at in rows.items()}


def _sat(places: Places, begun: Mapping[int, Kv], asked: Sequence[tuple[int, Encoded]], shared: int) -> list[Turn]:
    """Rows behind what they begin with, and what they are to read: all but the last token, which nothing follows."""
    return [Turn(places.join(begun[slot], shared), slot, e.tokens[shared:-1], told=len(e.completion)) for slot, e in asked]


def _targets(asked: Sequence[tuple[int, Encoded]], device: torch.device) -> tuple[Tensor, Tensor]:
    """The tokens of all right answers, and the row of each."""
    labels = [token for _, e in asked for token in e.completion]
    owner = [row for row, (_, e) in enumerate(asked) for _ in e.completion]
    return torch.tensor(labels, device=device), torch.tensor(owner, device=device)


def _answered(net: Grafted, read: Packed | Hooked, bank: Bank, begun: Mapping[int, Kv], rows: Sequence[_Row], shared: int) -> list[Said]:
    places = Places(len(rows), max(len(row.asked.prompt) + max(row.answer.room, len(row.asked.completion)) for row in rows))
    turns = _sat(places, begun, [(row.slot, row.asked) for row in rows], shared)
    losses = _grown(net, read.reach(places, bank, turns), rows)
    for at, row in enumerate(rows):
        # The token that was chosen last is still to be read.
        places.lengths[at] = len(row.asked.prompt) + len(row.answer.tokens) - 1
    go_on(read, places, bank, [(row.slot, row.answer) for row in rows])
    return [Said(row.answer.close(), loss) for row, loss in zip(rows, losses, strict=True)]


def _grown(net: Grafted, reaching: Tensor, rows: Sequence[_Row]) -> list[float]:
    """Each row's loss on its right answer, along which its own grows; logits of a few targets are there at once."""
    labels, owner = _targets([(row.slot, row.asked) for row in rows], reaching.device)
    losses, best = [], []  # type: list[Tensor], list[int | None]
    for few, right in zip(reaching.split(net.few), labels.split(net.few), strict=True):
        logits = net.head(few)
        losses.append(token_losses(logits, right))
        best += likeliest(logits)
    for row in rows:
        row.judge(best[: len(row.asked.completion)])
        del best[: len(row.asked.completion)]
    return row_losses(torch.cat(losses), owner, len(rows)).tolist()
