"""What can be served: the shelf as it is now, each adapter read once for as long as its folder is the same."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import final

from headstart.adapters import peft
from headstart.adapters.seats import Content, digest
from headstart.adapters.still import Stamp, stamp, still
from headstart.adapters.store import Shelf
from headstart.adapters.wear import check_fit, key_of
from headstart.bank import Weights
from headstart.errors import AdapterRefused, HeadstartError
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.serve.placeless import public_name
from headstart.serve.request import Served


@final
@dataclass(frozen=True)
class Listed:
    """An adapter on the shelf, without its content."""

    name: str
    stamp: Stamp
    bytes: int
    problem: str = ""
    """Why it cannot be served."""

    @property
    def created(self) -> int:
        """When it was made, seconds since 1970: another name, and what was found out later, change only its record."""
        return next((written for name, *_, written, _ in self.stamp if name == peft.CONFIG), 0) // 10**9


@final
class Catalogue:
    """Adapters of a shelf for one base. Any thread's.

    Args:
        base: they have to be made for it.
        shelf: where they lie.
        net: has the base's sites.
        budget: bytes of weights that are held, those used last; the bank holds its own copy.
    """

    def __init__(self, base: Base, shelf: Shelf, net: Grafted, budget: int) -> None:
        self._base, self._shelf, self._key, self._net, self._budget = base, shelf, key_of(base), net, budget
        self._lock = threading.Lock()
        self._known: dict[str, Content] = {}
        """By name, the one used last at the end."""
        self._listed: dict[str, Listed] = {}

    def content(self, name: str) -> Content:
        """An adapter as the shelf has it now.

        Raises:
            NameRefused: no such adapter.
            AdapterRefused: it is broken, another base's, or being written.
        """
        folder, known = self._shelf.known(name), self._known.get(name)
        if known is None or known.stamp != stamp(folder):
            known = still(folder, lambda now: self._read(name, now))
        self._hold(known)
        return known

    def listed(self) -> list[Listed]:
        """Every adapter of the shelf, each looked at once for as long as its folder is the same; what is not there is forgotten."""
        names = self._shelf.names()
        for gone in {*self._known.copy(), *self._listed.copy()} - {*names}:
            self.forget(gone)
        return [it for it in map(self._looked_at, names) if it is not None]

    def forget(self, name: str) -> None:
        """Hold an adapter no more, as long as nobody asks for it."""
        with self._lock:
            self._known.pop(name, None)
        self._listed.pop(name, None)

    def served(self, resident: Collection[str]) -> list[Served]:
        """The base, and every sound adapter; whether it is resident."""
        sound = [it for it in self.listed() if not it.problem]
        name = self._base.name
        return [
            Served(name, None, True, self._base.bytes, 0),
            *(Served(it.name, name, it.name in resident, it.bytes, it.created) for it in sound),
        ]

    def problems(self) -> dict[str, str]:
        """What is wrong with each adapter that cannot be served."""
        return {it.name: it.problem for it in self.listed() if it.problem}

    def _hold(self, content: Content) -> None:
        """As the one used last; those that were not for the longest time go for it."""
        with self._lock:
            self._known.pop(content.name, None)
            self._known[content.name] = content
            while len(self._known) > 1 and sum(it.bytes for it in self._known.values()) > self._budget:
                self._known.pop(next(iter(self._known)))

    def _read(self, name: str, now: Stamp) -> Content:
        weights = self._weights(name)
        if broken := [site for site, w in weights.items() if not bool(w.isfinite().all())]:
            raise AdapterRefused(f"'{name}' has weights that are no finite numbers ({broken[0]}): make it again.")
        # Weights that lie in fp32 are the file itself, mapped, and would change with it.
        held = {site: w.clone() for site, w in weights.items()}
        before, system = tuple(self._shelf.prefix(name)), self._shelf.system(name)
        return Content(name, held, before, now, digest(self._shelf.path(name)), system)

    def _looked_at(self, name: str) -> Listed | None:
        now, known = stamp(self._shelf.path(name)), self._listed.get(name)
        if not now:
            return None
        if known is None or known.stamp != now:
            known = self._listed[name] = self._look(name, now)
        return known

    def _look(self, name: str, now: Stamp) -> Listed:
        if name == public_name(self._base.name):
            return Listed(name, now, 0, f"'{name}' is what the base is called here, which answers to it: `headstart adapters rename` it.")
        # What the folder has become meanwhile has another stamp than this, and is looked at the next time.
        try:
            return Listed(name, now, sum(w.nbytes for w in self._weights(name).values()))
        except HeadstartError as error:
            return Listed(name, now, 0, str(error))

    def _weights(self, name: str) -> Weights:
        weights = self._shelf.read(name, self._key)
        check_fit(name, self._net, weights)
        return weights
