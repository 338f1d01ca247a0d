"""What can be served: the shelf as it is now, each adapter read once for as long as its folder is the same."""

from __future__ import annotations

from typing import final

from headstart.adapters.seats import Content, digest, stamp
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Weights
from headstart.errors import AdapterRefused, HeadstartError
from headstart.lm.graft import Grafted
from headstart.lm.load import Base

_MOST = 64
"""Adapters whose content is held; the bank holds its own copy."""


@final
class Catalogue:
    """Adapters of a shelf for one base. Any thread's: a name is looked up and set in one step each."""

    def __init__(self, base: Base, shelf: Shelf, net: Grafted) -> None:
        self._shelf, self._key, self._net = shelf, key_of(base), net
        self._known: dict[str, Content] = {}

    def names(self) -> list[str]:
        """Of all adapters, the broken too."""
        return self._shelf.names()

    def content(self, name: str) -> Content:
        """An adapter as the shelf has it now.

        Raises:
            NameRefused: no such adapter.
            AdapterRefused: it is broken, or another base's.
        """
        folder = self._shelf.known(name)
        known, now = self._known.get(name), stamp(folder)
        if known is not None and known.stamp == now:
            return known
        weights = self._shelf.read(name, self._key)
        _check(name, self._net, weights)
        if broken := [site for site, w in weights.items() if not bool(w.isfinite().all())]:
            raise AdapterRefused(f"'{name}' has weights that are no finite numbers ({broken[0]}): make it again.")
        content = Content(name, weights, tuple(self._shelf.prefix(name)), now, digest(folder))
        if len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)), None)
        self._known[name] = content
        return content

    def sound(self) -> list[Content]:
        """Every adapter that can be served."""
        return [it for it in map(self._tried, self.names()) if isinstance(it, Content)]

    def problems(self) -> dict[str, str]:
        """What is wrong with each of the others."""
        return {name: it for name, it in zip(self.names(), map(self._tried, self.names()), strict=True) if isinstance(it, str)}

    def _tried(self, name: str) -> Content | str:
        try:
            return self.content(name)
        except HeadstartError as error:
            return str(error)


def _check(name: str, net: Grafted, weights: Weights) -> None:
    """Whether the base has an adapter's sites, in its shapes."""
    wrong = []
    for site in dict.fromkeys(key.rpartition(".")[0] for key in weights):
        there = net.sites.get(site)
        shape = (weights[f"{site}.lora_B"].shape[0], weights[f"{site}.lora_A"].shape[1])
        if there is None or shape != (there.width_out, there.width_in):
            wrong.append(site)
    if wrong:
        raise AdapterRefused(
            f"'{name}' bends {', '.join(wrong[:3])}, which this base does not have in that shape: it was made for another."
        )
