"""The base for what is neither answered nor taught: forecasts and exports read its shape and use a tokenizer of their own."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import final

from headstart.lm.chat import Chat
from headstart.lm.load import Base


@final
class Spare:
    """One user at a time; its tokenizer is made when it is first wanted, as it takes some 46 MB.

    Args:
        base: a loaded one, grafted or not: its weights and hooks are not touched.
    """

    def __init__(self, base: Base) -> None:
        self._base, self._own, self._lock = base, None, threading.Lock()  # type: Base, Base | None, threading.Lock

    @contextmanager
    def held(self) -> Iterator[Base]:
        """The base, for this block alone."""
        with self._lock:
            if self._own is None:
                chat = self._base.chat
                self._own = replace(self._base, chat=Chat(copy.deepcopy(chat.tokenizer), chat.context))
            yield self._own
