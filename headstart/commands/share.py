"""`headstart adapters push` and `pull`: adapters to and from the Hugging Face Hub."""

from __future__ import annotations

from typing import Any

from headstart import screen
from headstart.adapters.pull import pull as fetch
from headstart.adapters.push import Wish
from headstart.adapters.push import push as publish
from headstart.adapters.starts import Starts
from headstart.adapters.store import PREFIX, RECORD, Shelf
from headstart.commands.opening import open_base


def push(name: str, repo: str, wish: Wish, as_json: bool) -> None:
    """Publish an adapter, or a start that was made here.

    Raises:
        NameRefused, AdapterRefused, HubRefused: nothing was published.
    """
    adapters, starts = Shelf(), Starts()
    shelf = adapters if name in adapters.names() or name not in starts.names() else starts.shelf(name)
    if wish.examples and (kept := len(shelf.prefix(name))):
        screen.warn(f"{PREFIX} goes along: {kept} of your examples, for everybody who may see {repo}.")
    if wish.examples and shelf.system(name):
        screen.warn(f"The system message that it was taught under goes along, in {RECORD}.")
    facts = publish(shelf, name, repo, wish)
    if facts["base_local"]:
        screen.warn(f"The base is a file of this machine: it is named '{facts['base']}' there, and others need the same file.")
    if facts["licence"] is None:
        screen.warn("The card states no licence: give one with --licence, or nobody knows what they may do with it.")
    if as_json:
        screen.emit(facts)
        return
    seen = "private" if facts["private"] else "public"
    told = f"'{name}' is at {facts['url']} ({seen}, commit {facts['commit'][:7]}): {len(facts['files'])} files, {_size(facts['bytes'])}"
    screen.say(f"{told}\nheadstart adapters pull {repo}")


def pull(repo: str, name: str | None, revision: str | None, replaces: bool, base: str | None, as_json: bool) -> None:
    """Put an adapter of the hub on the shelf.

    Raises:
        NameRefused, AdapterRefused, HubRefused, BaseRefused, StorageError: the shelf is as it was.
    """
    named = name or repo.rpartition("/")[2]
    facts = fetch(Shelf(), repo, named, revision, replaces, (lambda: open_base(base, purpose="serve")) if base else None)
    if as_json:
        screen.emit(facts)
    else:
        screen.say(_told(facts))


def _told(facts: dict[str, Any]) -> str:
    lines = [
        f"'{facts['name']}' from {facts['repo']} (commit {facts['revision'][:7]}), {_size(facts['adapter_bytes'])}, for {facts['base']}"
    ]
    if not facts["record"] and not facts["base_checked"]:
        lines.append("It does not say which weights of that base it was made on: --base looks whether it has the shape of one.")
    if facts["prefix"]:
        lines.append(f"It puts {facts['prefix']} examples of its maker's in front of every prompt: read them in its {PREFIX}.")
    if facts["system"]:
        lines.append(f"It puts a system message of its maker's before what has none: read it as `system` in its {RECORD}.")
    return "\n".join([*lines, facts["path"]])


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
