"""Another engine that answers for us: what a relay asks of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from headstart.adapters.seats import Content
from headstart.serve.door import Entered
from headstart.serve.request import Ended, Piece

ALIVE = Piece("")
"""Nothing new, as the prompt is still being read: a moment to look whether anybody waits for the answer."""


class Peer(Protocol):
    """Asked by tokens and by an adapter's content, so that neither its templates nor its names can be others than ours.

    Every method may raise `EngineGone`; the next `fit` begins anew.
    """

    mixes: bool
    """Whether it answers under several adapters at once; else one adapter's requests go before another's."""

    def wears(self, content: Content | None) -> bool:
        """Whether requests under an adapter, or under none, can be put to it as it is."""
        ...

    def fit(self, contents: Iterator[Content]) -> None:
        """Have these adapters, or some, those that come first rather than others; unless it mixes, nothing is being answered meanwhile.

        Raises:
            AdapterRefused: the first of them cannot be had.
        """
        ...

    def names(self) -> dict[str, int]:
        """Adapters that it has, and the bytes of each."""
        ...

    def drop(self, name: str) -> None:
        """Let one go, now or when it is next fitted.

        Raises:
            NameRefused: it is not there.
        """
        ...

    def tidy(self, at_work: Collection[Content]) -> None:
        """Be rid of what nobody can ask for any more, but for these; asked now and then, by the thread that fits and sends."""
        ...

    def answer(self, entered: Entered) -> Iterator[Piece | Ended]:
        """The answer as it grows, its end included; whoever closes it hangs up."""
        ...

    def stop(self) -> None:
        """Leave nothing of ours behind."""
        ...
