"""The base for what is neither answered nor taught: forecasts and exports have modules and a tokenizer of their own over its tensors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import final

import anyio
import torch

from headstart.lm.load import Base
from headstart.lm.twin import alike


@final
class Spare:
    """One user at a time; its tokenizer is made when it is first wanted, as it takes some 46 MB.

    Args:
        base: bare, as hooks on it would be copied.
    """

    def __init__(self, base: Base) -> None:
        self._base = replace(base, model=alike(base.model))
        self._own, self._lock = None, threading.Lock()  # type: Base | None, threading.Lock
        self.users = anyio.CapacityLimiter(1)
        """For the threads of requests: those that wait for it take none, as answers need them."""

    @property
    def device(self) -> torch.device:
        """Where the base computes."""
        return torch.device(self._base.model.device)

    @property
    def content_hash(self) -> str:
        """Of the base, whoever holds it."""
        return self._base.content_hash

    @contextmanager
    def held(self) -> Iterator[Base]:
        """The base, for this block alone."""
        with self._lock:
            if self._own is None:
                self._own = replace(self._base, chat=self._base.chat.own())
            yield self._own
