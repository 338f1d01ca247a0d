"""Token sequences as rows: right-padded, with the places where a next token is to be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Encoded:
    """One sequence in tokens: what is given, then what is to be predicted."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    earlier: tuple[int, ...] = ()
    """positions in the prompt that are to be predicted too: the answers of examples worked before"""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The whole sequence."""
        return self.prompt + self.completion

    @property
    def targets(self) -> tuple[int, ...]:
        """Positions of all tokens to be predicted."""
        return self.earlier + tuple(range(len(self.prompt), len(self)))


@final
@dataclass(frozen=True)
class Batch:
    """Rows of tokens and the targets among them.

    Padding stands on the right, where a causal model's real tokens never look, so no mask is needed, and what counts is
    told by place and never by token id (the padding id is often the end-of-text id, which has to be learnt).
    """

    tokens: Tensor
    """(rows, length) int64"""
    owner: Tensor
    """the row of each target, (targets,) int64"""
    place: Tensor
    """the position whose output predicts the target, (targets,) int64"""
    labels: Tensor
    """the token to be predicted, (targets,) int64"""
    below: Tensor | None = None
    """hidden states entering the lowest bent layer, (rows, length, width); None: compute them"""

    @classmethod
    def of(cls, encoded: Sequence[Encoded], below: Sequence[Tensor] | None = None, device: torch.device | str = "cpu") -> Batch:
        """Pad sequences, and their kept hidden states where given, into one batch."""
        length = max(len(e) for e in encoded)
        tokens = torch.zeros(len(encoded), length, dtype=torch.int64, device="cpu")
        owner, place, labels = [], [], []
        for row, e in enumerate(encoded):
            tokens[row, : len(e)] = torch.tensor(e.tokens, device="cpu")
            owner += [row] * len(e.targets)
            place += [target - 1 for target in e.targets]
            labels += [e.tokens[target] for target in e.targets]
        index = torch.tensor([owner, place, labels], dtype=torch.int64, device=device)
        hidden = None if below is None else torch.nn.utils.rnn.pad_sequence(list(below), batch_first=True)
        return cls(tokens.to(device), index[0], index[1], index[2], hidden)
