"""What most commands begin with: a loaded base in the precision that fits, with a word on what is being waited for."""

from __future__ import annotations

import importlib.util

import torch

from headstart import screen
from headstart.adapters.store import Shelf
from headstart.errors import HeadstartError, NoRoom
from headstart.lm.load import Base, at_hand, hush, load, native_dtype
from headstart.lm.quantised import PRECISIONS
from headstart.plan.forecast import base_bytes
from headstart.plan.memory import place_of
from headstart.plan.setting import Setting
from headstart.plan.source import model
from headstart.plan.verdict import PACKINGS, fitting, planned, rungs
from headstart.terms import ALL_LINEAR, Purpose, upper_third


def open_base(
    name: str | None,
    precision: str | None = None,
    purpose: Purpose | None = None,
    device: torch.device | None = None,
    asked: bool = True,
) -> Base:
    """Load a base, with transformers' own chatter off.

    Args:
        name: see `headstart.lm.load`.
        precision: of `PRECISIONS`; None: the machine's own.
        purpose: what there has to be room for: where there is none and no precision was asked for, as few bits as it takes; None: whole.
        device: where it is to compute; None: on a GPU if there is one.
        asked: see `headstart.lm.load`.

    Raises:
        NoRoom: the base alone is too much for what is free, in few bits too.
    """
    hush()
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = precision or (by_room(name, purpose, device) if purpose else None)
    dtype, bits = PRECISIONS[precision] if precision else (None, None)
    with screen.ERR.status("loading the base") as status:
        return load(name, dtype, lambda what: status.update(what), device, bits, asked)


def base_of(shelf: Shelf, adapter: str | None, named: str | None) -> str | None:
    """Which base to load: the one that is named, else an adapter's own where it is on this machine; None: the default.

    Whether it is the one that the adapter was made for, its hashes tell.
    """
    if named is not None or adapter is None:
        return named
    its = (shelf.record(adapter).get("base") or {}).get("name")
    return its if its and at_hand(its) else None


def by_room(name: str | None, purpose: Purpose, device: torch.device) -> str | None:
    """The precision in which a base has room where it is to compute, and a word about it; None: the native one, or nobody can tell yet."""
    try:
        # Asking makes a GPU's context, which the forecast counts once more: half a gigabyte to the safe side.
        base, place = model(name), place_of(device)
    except HeadstartError:
        # Loading says what is wrong with the name; and a family that cannot be planned can be loaded.
        return None
    native = {dtype: word for word, (dtype, _) in PRECISIONS.items()}[native_dtype(device.type)]
    own = Setting(precision=native, target=(ALL_LINEAR,), lowest=upper_third(base.shape.layers).start, rows=1, adapters=1)
    found = fitting(base.shape, own, purpose, place)
    if found == own:
        return None
    alone, free = base_bytes(base.shape, PACKINGS[-1]), f"{place.memory / 1e9:.2f} GB are free on {place.name}"
    if alone > place.memory:
        raise NoRoom(f"{base.name} alone takes {alone / 1e9:.2f} GB in 4 bits, and {free}: a smaller base is wanted.")
    least = planned(base.shape, rungs(own)[-1][1], purpose, place).peak
    said = f"{base.name} in {native} takes {least / 1e9:.2f} GB at the least, and {free}"
    if found is None:
        screen.warn(f"{said}, and in 4 bits there is not enough either: it is tried.")
    elif importlib.util.find_spec("bitsandbytes") is None:
        screen.warn(f"{said}. It would fit in {found.precision}, once bitsandbytes is there: pip install 'headstart[small]'.")
    else:
        screen.warn(f"{said}: its linears are kept in {found.precision}. --precision {native} asks for all of it.")
        return found.precision
    return None
