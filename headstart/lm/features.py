"""Texts as vectors: the hidden states of a causal language model, bent by a bank or not, one vector a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from headstart.bank import BASE, Bank, Weights
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.terms import ALL_LINEAR, bundles, upper_third

PHRASE = ('This text: "', '" means in one word: "')
"""Put around a text, so that what comes next is its meaning.

Source: Jiang et al. 2024, Scaling sentence embeddings with large language models, section 3.1.
"""
Pool = Literal["last", "mean"]
"""The last token alone, or the mean over all but the first."""
PAD = -1
"""Fills up the right of a row of tokens. No token has this number, while the padding id is often the end of text."""
BUDGET = 2048
"""Tokens that one pass may hold."""


@final
@dataclass(frozen=True, eq=False)
class Features:
    """A grafted language model as an embedding of texts.

    Inputs are token ids as `tokens_of` gives them, (rows, n, length) int64, padded on the right with `PAD`. The first token is
    the same for all: attention rests there, which makes its hidden state large and empty, so no mean takes it in.

    Source: for the first token Xiao et al. 2024, attention sinks, section 3.1.
    """

    net: Grafted
    """The model, with hooks where a bank may bend it."""
    depth: int
    """How many layers are run, 1 or more; those above and the head are not."""
    pool: Pool = "last"
    """What is taken of the hidden states."""

    def blank(self, seed: int) -> Weights:
        """A fresh LoRA for one slot, drawn from `seed`."""
        return self.net.blank(seed)

    def __call__(self, bank: Bank, slots: Tensor, inputs: Tensor) -> Tensor:
        """Features of every text under its row's slot: (rows, n, length) -> (rows, n, width), in fp32 at least.

        Texts of like length go through the model together, so that padding costs little.
        """
        texts, owners = inputs.flatten(0, 1), slots.to(inputs.device).repeat_interleave(inputs.shape[1])
        lengths = (texts != PAD).sum(1).tolist()
        groups = bundles(lengths, BUDGET)
        parts = [self._pooled(bank, owners[group], texts[group, : max(lengths[i] for i in group)]) for group in groups]
        back = torch.tensor([i for group in groups for i in group], device=inputs.device).argsort()
        return torch.cat(parts)[back].view(*inputs.shape[:2], -1)

    def _pooled(self, bank: Bank, slots: Tensor, tokens: Tensor) -> Tensor:
        real = tokens != PAD
        hidden = self.net.hidden(bank, slots, tokens.clamp(min=0), self.depth)
        hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        if self.pool == "last":
            return hidden[torch.arange(len(tokens), device=tokens.device), real.sum(1) - 1]
        weight = real[:, 1:, None].to(hidden.dtype)
        return (hidden[:, 1:] * weight).sum(1) / weight.sum(1).clamp(min=1)


def depth_of(net: Grafted) -> int:
    """How many layers to run: all but the last, which turns meaning into the next token. Chosen on validation classes."""
    return max(1, net.layers - 1)


def text_net(base: Base, rank: int = 8) -> Features:
    """An embedding that can be meta-trained: a base bent in the upper third of the layers that are run, so that most need no backward pass.

    Args:
        base: a loaded base, which gets the hooks.
        rank: of the LoRA.
    """
    depth = max(1, base.layers - 1)
    return Features(Grafted(base.model, ALL_LINEAR, upper_third(depth), rank), depth)


def tokens_of(chat: Chat, texts: Sequence[str], phrase: tuple[str, str] = PHRASE) -> Tensor:
    """Texts as `Features` reads them: a mark that all share, and each text within a phrase; (texts, length) int64, filled up with `PAD`.

    A text too long for the model loses its end.

    Args:
        chat: whose tokenizer; the mark is its beginning of text, or else its end.
        texts: one at least.
        phrase: what stands before and behind each.
    """
    mark = chat.tokenizer.bos_token_id
    before, behind, *each = chat.tokenizer([*phrase, *texts], add_special_tokens=False).input_ids
    before = [chat.tokenizer.eos_token_id if mark is None else mark, *before]
    room = chat.context - len(before) - len(behind)
    rows = [torch.tensor([*before, *tokens[:room], *behind], device="cpu") for tokens in each]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def encoder(net: Features, chat: Chat, bank: Bank | None = None, slot: int = BASE) -> Callable[[list[str]], Tensor]:
    """Texts -> their features, (texts, width) float on the CPU, without a graph.

    Args:
        net: the embedding.
        chat: whose tokenizer.
        bank: name -> (slots, ...); None: the bare base.
        slot: which adapter all texts wear.
    """
    worn = torch.tensor([slot], device=net.net.device)

    def encode(texts: list[str]) -> Tensor:
        with torch.no_grad():
            return net(bank or {}, worn, tokens_of(chat, texts).to(worn.device)[None])[0].cpu()

    return encode
