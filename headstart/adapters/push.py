"""An adapter onto the Hugging Face Hub: one commit, with a card written anew and no path of this machine's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, final

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from headstart.adapters import card, peft
from headstart.adapters.hub import CARD, FILES, asking, hub, logged_in
from headstart.adapters.record import legible
from headstart.adapters.starts import Starts
from headstart.adapters.still import still
from headstart.adapters.store import PREFIX, RECORD, Shelf
from headstart.errors import AdapterRefused, HubRefused, NameRefused
from headstart.repository import ID

_ANYBODYS = {CARD, ".gitattributes"}
"""What a repository may hold and still be nothing in particular."""
_BASE = "base_model_name_or_path"


@final
@dataclass(frozen=True)
class Wish:
    """How an adapter is to be published."""

    about: str | None = None
    """what it does; None: what its record says"""
    licence: str | None = None
    """of the examples and of the adapter; None: what its record says"""
    private: bool = False
    examples: bool = False
    """whether the examples that it keeps in front of every prompt may be published"""


def push(shelf: Shelf, name: str, repo: str, wish: Wish) -> dict[str, Any]:
    """Publish an adapter, in a repository that is made if need be; the facts of it.

    Raises:
        NameRefused: there is no such adapter.
        AdapterRefused: broken, or with examples that may not be published.
        HubRefused: nothing was published; an empty repository may have been made.
    """
    _check_said(wish)
    api = hub(repo)
    whole = still(shelf.path(name), lambda _: _read(shelf, name))
    kept = whole.kept
    if kept and not wish.examples:
        raise AdapterRefused(
            f"'{name}' keeps {kept} of your examples in front of every prompt, and they would be published with it: read "
            f"{shelf.path(name) / PREFIX}, and give --yes if they may be. They are not left out, as it answers worse without; "
            "`headstart adapt --no-prefix` teaches an adapter that needs none."
        )
    if whole.record.get("system") and not wish.examples:
        raise AdapterRefused(
            f"'{name}' was taught under a system message, which would be published with it: read it in {shelf.path(name) / RECORD}, "
            "and give --yes if it may be. It is not left out, as the adapter answers worse without."
        )
    logged_in()
    told = _told(whole, wish)
    if not told.get("base_licence") and (licence := _base_licence(api, told["base"])):
        told["base_licence"] = licence
    files = _files(whole, name, repo, told | {"prefix": kept})
    with asking(repo):
        api.create_repo(repo, private=wish.private or None, exist_ok=True)
        found = api.model_info(repo)
    there = {it.rfilename for it in found.siblings or ()}
    _check_room(repo, there, bool(found.private), wish.private)
    stale = [CommitOperationDelete(it) for it in FILES if it in there and it not in files]
    with asking(repo):
        done = api.create_commit(
            repo, [*(CommitOperationAdd(it, content) for it, content in files.items()), *stale], commit_message=f"The adapter {name}"
        )
    return {
        "name": name,
        "repo": repo,
        "url": f"{api.endpoint}/{repo}",
        "commit": done.oid,
        "private": bool(found.private),
        "files": list(files),
        "bytes": sum(map(len, files.values())),
        "base": told["base"]["name"],
        "base_local": bool(told["base"].get("local")),
        "base_licence": told.get("base_licence") or card.LICENCES.get(told["base"]["name"]),
        "licence": told.get("licence"),
        "prefix": kept,
    }


def _check_said(wish: Wish) -> None:
    """See that what is said of an adapter can be read by whoever pulls it."""
    said = (("--about", wish.about), ("--licence", wish.licence))
    if wrong := [option for option, text in said if text and not legible(text)]:
        raise HubRefused(f"{' and '.join(wrong)} may hold neither control codes nor halves of letters: nobody could pull the adapter.")


@final
@dataclass(frozen=True)
class _Whole:
    """An adapter as it lay when leave to publish it was asked, whoever replaces it meanwhile."""

    config: Mapping[str, Any]
    record: Mapping[str, Any]
    kept: int
    """examples in front of every prompt"""
    contents: dict[str, bytes]
    """of the files that are published as they are, by name"""


def _read(shelf: Shelf, name: str) -> _Whole:
    place = shelf.known(name)
    config, kept = peft.read(place)[1], len(shelf.prefix(name))
    contents = {it: (place / it).read_bytes() for it in (peft.WEIGHTS, *([PREFIX] if kept else []))}
    return _Whole(config, shelf.record(name), kept, contents)


def _told(whole: _Whole, wish: Wish) -> dict[str, Any]:
    """The record as it is published; of another tool's adapter no more than the base's name is known."""
    # Whoever guesses a file's name could find it in its hash.
    known = {key: value for key, value in whole.record.items() if key != "dealt"}
    base = known.get("base") or {"name": str(whole.config.get(_BASE) or "?")}
    told: dict[str, Any] = _bare(known) | {"base": base | _named(base)}
    # No path, whatever it begins with.
    told |= {"system": known["system"]} if known.get("system") else {}
    if known.get("start") and not told.get("start_licence") and (licence := _start_licence(known["start"])):
        told["start_licence"] = licence
    return told | {key: said for key, said in (("about", wish.about), ("licence", wish.licence)) if said}


def _files(whole: _Whole, name: str, repo: str, told: dict[str, Any]) -> dict[str, bytes]:
    """What is published, by name; a record only of what was made here."""
    files = {
        peft.CONFIG: _json(_bare(whole.config) | {_BASE: told["base"]["name"]}),
        peft.WEIGHTS: whole.contents[peft.WEIGHTS],
        CARD: card.render(name, told, repo).encode(),
    }
    if "content" in told["base"]:
        files[RECORD] = _json(told)
    return files | whole.contents


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _check_room(repo: str, there: set[str], private: bool, wanted: bool) -> None:
    """See that a repository that was there before is an adapter's, and no more public than wished."""
    if there - _ANYBODYS and peft.CONFIG not in there:
        shown = ", ".join(sorted(there - _ANYBODYS)[:3])
        raise HubRefused(f"'{repo}' holds something else than an adapter ({shown}): name another repository.")
    if wanted and not private:
        raise HubRefused(f"'{repo}' is there already and is public: make it private on its page, or name another repository.")


def _named(base: Mapping[str, Any]) -> dict[str, Any]:
    """A base's name as others may read it: of a path its last part."""
    name = str(base["name"])
    if ID.fullmatch(name) and not name.endswith(".gguf"):
        return {}
    return {"name": PureWindowsPath(name).name or "?", "local": True}


def _bare(value: Any) -> Any:
    """The same without paths of this machine: of each its last part."""
    if isinstance(value, dict):
        return {key: _bare(it) for key, it in value.items()}
    if isinstance(value, list):
        return [_bare(it) for it in value]
    if isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute() or value.startswith("~/")):
        return PureWindowsPath(value).name
    return value


def _base_licence(api: HfApi, base: Mapping[str, Any]) -> str | None:
    """What the base's own card says, if it has one that can be read."""
    if base.get("local") or base["name"] in card.LICENCES or "/" not in base["name"]:
        return None
    try:
        with asking(base["name"]):
            found = api.model_info(base["name"]).card_data
    except (HubRefused, OSError):
        return None
    licence = found.get("license") if found else None
    return licence if isinstance(licence, str) and legible(licence) else None


def _start_licence(start: str) -> str | None:
    try:
        licence = Starts().shelf(start).record(start).get("licence")
    except (NameRefused, AdapterRefused):
        return None
    return str(licence) if licence else None
