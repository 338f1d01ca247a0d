"""An adapter on a base: sites from the adapter, checked against the model, written into a slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from headstart.adapters.store import BaseKey, Shelf
from headstart.bank import BASE, Bank, Weights, blank, put, sites_of
from headstart.episode import Example
from headstart.errors import AdapterRefused, BaseRefused
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.terms import ALL_LINEAR


def key_of(base: Base) -> BaseKey:
    """What an adapter for this base has to find again."""
    return BaseKey(base.name, base.content_hash, base.chat.tokenizer_hash, base.chat.template_hash)


@final
@dataclass(frozen=True)
class Worn:
    """A base with one adapter in a bank, ready to answer."""

    net: Grafted
    bank: Bank
    slot: int
    before: list[Example]
    """examples that the adapter keeps in front of every prompt"""
    system: str = ""
    """what it was told when it was taught, for requests that tell it nothing"""


def wear(base: Base, shelf: Shelf, name: str | None) -> Worn:
    """Put one adapter on a base.

    Args:
        base: a loaded base.
        shelf: where adapters lie.
        name: None: the bare base, slot 0 of an empty bank.

    Raises:
        NameRefused, AdapterRefused: no such adapter, or not for this base.
    """
    if name is None:
        return Worn(Grafted(base.model, ALL_LINEAR), {}, BASE, [])
    adapter = shelf.adapter(name, key_of(base))
    net = graft_for(base, name, adapter.weights)
    bank = {key: stack.to(net.device) for key, stack in blank(adapter.weights, 1).items()}
    put(bank, 1, adapter.weights)
    return Worn(net, bank, 1, adapter.prefix, adapter.system)


def graft_for(base: Base, name: str, weights: Weights) -> Grafted:
    """The base with hooks at an adapter's sites.

    Raises:
        AdapterRefused: a site that the base does not have, or has in another shape: all of them at once.
    """
    try:
        net = Grafted(base.model, sites_of(weights))
    except BaseRefused as error:
        raise AdapterRefused(f"'{name}' bends linears that {base.name} does not have: it was made for another model. {error}") from error
    try:
        check_fit(name, net, weights)
    except AdapterRefused:
        net.remove()
        raise
    return net


def check_fit(name: str, net: Grafted, weights: Weights) -> None:
    """See that a net has an adapter's sites, in its shapes.

    Raises:
        AdapterRefused: it lacks some, or has them in another shape: all of them at once.
    """
    wrong = []
    for site in sites_of(weights):
        there = net.sites.get(site)
        shape = (weights[f"{site}.lora_B"].shape[0], weights[f"{site}.lora_A"].shape[1])
        its = (there.width_out, there.width_in) if there else "not there"
        wrong += [f"{site} is {shape}, the base's is {its}"] if shape != its else []
    if wrong:
        shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise AdapterRefused(f"'{name}' was made for a base of another shape: {shown}.")
