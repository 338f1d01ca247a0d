"""What can be served: the shelf as it is now, each adapter read once for as long as its folder is the same."""

from __future__ import annotations

from dataclasses import dataclass
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
@dataclass(frozen=True)
class Listed:
    """An adapter on the shelf, without its content."""

    name: str
    stamp: tuple[int, int]
    bytes: int
    problem: str = ""
    """Why it cannot be served."""


@final
class Catalogue:
    """Adapters of a shelf for one base. Any thread's: a name is looked up and set in one step each."""

    def __init__(self, base: Base, shelf: Shelf, net: Grafted) -> None:
        self._shelf, self._key, self._net = shelf, key_of(base), net
        self._known: dict[str, Content] = {}
        self._listed: dict[str, Listed] = {}

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
        weights = self._weights(name)
        if broken := [site for site, w in weights.items() if not bool(w.isfinite().all())]:
            raise AdapterRefused(f"'{name}' has weights that are no finite numbers ({broken[0]}): make it again.")
        content = Content(name, weights, tuple(self._shelf.prefix(name)), now, digest(folder))
        if len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)), None)
        self._known[name] = content
        return content

    def listed(self) -> list[Listed]:
        """Every adapter of the shelf, each looked at once for as long as its folder is the same."""
        return [it for it in map(self._looked_at, self.names()) if it is not None]

    def _looked_at(self, name: str) -> Listed | None:
        try:
            now = stamp(self._shelf.path(name))
        except OSError:
            return None
        known = self._listed.get(name)
        if known is None or known.stamp != now:
            known = self._listed[name] = self._look(name, now)
        return known

    def _look(self, name: str, now: tuple[int, int]) -> Listed:
        try:
            return Listed(name, now, sum(w.numel() * w.element_size() for w in self._weights(name).values()))
        except HeadstartError as error:
            return Listed(name, now, 0, str(error))

    def _weights(self, name: str) -> Weights:
        weights = self._shelf.read(name, self._key)
        _check(name, self._net, weights)
        return weights


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
