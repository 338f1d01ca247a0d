"""What tests of language models share: random banks and random examples."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from headstart.bank import Bank, blank, put
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.tiny import VOCABULARY, tiny_tokenizer

CONTEXT = 512


@pytest.fixture(scope="session")
def chat() -> Chat:
    """The tiny tokenizer's chat; the tiny models hold as many tokens."""
    return Chat(tiny_tokenizer(), CONTEXT)


@pytest.fixture
def drawn_bank() -> Callable[..., Bank]:
    """Makes banks of adapters with both A and B drawn at random, strong enough to change every answer."""

    def make(net: Grafted, slots: int, seed: int = 0) -> Bank:
        rng = torch.Generator().manual_seed(seed)
        like = net.blank(seed)
        bank = blank(like, slots)
        for slot in range(1, slots + 1):
            put(bank, slot, {name: torch.randn(w.shape, generator=rng, dtype=w.dtype) * 0.2 for name, w in like.items()})
        return bank

    return make


@pytest.fixture
def drawn_examples() -> Callable[..., list[Encoded]]:
    """Makes examples of random tokens from (prompt length, completion length) pairs."""

    def make(*lengths: tuple[int, int], seed: int = 0) -> list[Encoded]:
        rng = torch.Generator().manual_seed(seed)
        draw = lambda n: tuple(torch.randint(2, VOCABULARY, (n,), generator=rng).tolist())  # noqa: E731
        return [Encoded(draw(prompt), draw(completion)) for prompt, completion in lengths]

    return make
