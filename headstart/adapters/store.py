"""The shelf: a folder of adapters, each whole or absent, each knowing what it was made for."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart import disk
from headstart.adapters import card, peft
from headstart.adapters.record import check
from headstart.adapters.still import still
from headstart.bank import Weights
from headstart.config import home
from headstart.episode import Example, as_chat
from headstart.errors import AdapterRefused, ExamplesError, NameRefused, StorageError, nearest
from headstart.tasks.texts import read_examples
from headstart.terms import SHOWN, another_base

RECORD = "headstart.json"
PREFIX = "prefix.jsonl"
"""Examples to keep in front of every prompt, one conversation a line."""
PATIENCE = 1.0
"""Seconds after which an adapter that was set aside for a new one is held for left so by a kill: the two renames take no time."""
_LOOK = 0.002
"""Seconds between looks for the new one."""
_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TAKEN = frozenset({"auto", "none"})
"""Names that nothing may be given, as nothing could begin from it."""


@dataclass(frozen=True)
class BaseKey:
    """What an adapter must find again to mean the same: base, tokenizer and chat template, by hash."""

    name: str
    content: str
    tokenizer: str
    template: str


@final
@dataclass(frozen=True)
class Adapter:
    """An adapter as it is worn: all of it of one folder, whoever replaces that meanwhile."""

    weights: Weights
    prefix: list[Example]
    """examples to keep in front of every prompt"""
    system: str
    """what it was told when it was taught; empty: nothing"""


@final
class Shelf:
    """Adapters by name.

    Args:
        root: the folder; None: `adapters` under the home folder. It need not exist.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or home() / "adapters"

    def names(self) -> list[str]:
        """Names of all adapters, sorted; one that is being replaced is there all the while."""
        if not self.root.is_dir():
            return []
        # Whatever else lies here, which may be nobody's to look into, has no such name.
        named = ((p.name.removeprefix(disk.FORMER), p) for p in self.root.iterdir())
        return sorted({name for name, p in named if _NAME.fullmatch(name) and os.path.isfile(p / peft.CONFIG)})

    def path(self, name: str) -> Path:
        """Where a new or known adapter lies.

        Raises:
            NameRefused: the name could leave the shelf, or is no good file name.
        """
        if not _NAME.fullmatch(name):
            raise NameRefused(
                f"{name!r} is no adapter name: letters, digits, '.', '_' and '-' are wanted, 64 at most, the first a letter or digit."
            )
        return self.root / name

    def named(self, name: str) -> Path:
        """Where an adapter may lie that is to have this name.

        Raises:
            NameRefused: see `path`, or it is one that stands for something else.
        """
        if name in _TAKEN:
            raise NameRefused(f"'{name}' is what --start says for something else: give another name.")
        return self.path(name)

    def free(self, name: str, replace: bool) -> Path:
        """The path for a new adapter of this name.

        Raises:
            NameRefused: the name is unsafe, or taken and not to be replaced.
        """
        path = self.named(name)
        self.mend(name)
        if self.taken(name) and not replace:
            raise NameRefused(f"There is an adapter '{name}' already: give --replace to put the new one in its place, or another name.")
        return path

    def mend(self, name: str) -> None:
        """Before a name changes hands, see to what a kill has left half done; whoever only reads leaves the shelf as it is."""
        if self.root.is_dir():
            disk.sweep(self.root)
        if self.path(name).exists():
            # On a disk without locks a former one is left alone for an hour, and would be had back where the new one goes.
            disk.drop_former(self.path(name))

    def taken(self, name: str) -> bool:
        """Whether there is an adapter of this name, or one that a new one is just put in place of."""
        path = self.path(name)
        return path.exists() or disk.former_of(path).exists()

    def known(self, name: str) -> Path:
        """The folder of an adapter that is there.

        Raises:
            NameRefused: it is not, with the nearest that are, or is being replaced.
        """
        path = self.path(name)
        if not self._there(path):
            if disk.former_of(path).exists():
                raise NameRefused(
                    f"'{name}' is being replaced, or a kill left it so: ask again. On a disk without locks it is had back an hour later."
                )
            near = nearest(name, {*self.names()} - {name}) or " The shelf is empty: `headstart adapt` makes one."
            raise NameRefused(f"There is no adapter '{name}'.{near}")
        return path

    def write(
        self, name: str, weights: Weights, record: Mapping[str, Any], layers: int, prefix: Sequence[Example] = (), replace: bool = False
    ) -> Path:
        """Put an adapter on the shelf, whole or not at all.

        Args:
            name: see `path`.
            weights: one adapter, scale folded into B.
            record: facts for `headstart.json`; `record["base"]` is the base key as a dict.
            layers: how many layers the base has.
            prefix: examples to keep in front of every prompt.
            replace: allow taking another adapter's place.

        Raises:
            NameRefused, AdapterRefused, StorageError: nothing was changed.
        """
        path = self.free(name, replace)
        with disk.new_folder(path, replace) as pending:
            peft.write(pending, weights, record["base"]["name"], layers)
            (pending / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            if prefix:
                (pending / PREFIX).write_text(lines(prefix), encoding="utf-8")
            (pending / "README.md").write_text(card.render(name, record), encoding="utf-8")
        return path

    def read(self, name: str, key: BaseKey) -> Weights:
        """An adapter's weights, if they were made for this base.

        Raises:
            NameRefused: there is no such adapter.
            AdapterRefused: broken, inexpressible, or made for another base, tokenizer or template.
        """
        path = self.known(name)
        made_for = self.record(name).get("base")
        if made_for:
            _check_key(name, made_for, key)
        return peft.read(path)[0]

    def adapter(self, name: str, key: BaseKey) -> Adapter:
        """An adapter's weights and what goes with them, if it was made for this base.

        Raises:
            NameRefused: there is no such adapter.
            AdapterRefused: see `read` and `prefix`, or it is being written.
        """
        return still(self.path(name), lambda _: Adapter(self.read(name, key), self.prefix(name), self.system(name)))

    def prefix(self, name: str) -> list[Example]:
        """The examples that an adapter keeps in front of every prompt; none for most.

        Raises:
            AdapterRefused: the file is broken, or holds another number than the record says; without them it would answer wrongly.
        """
        path = self.known(name) / PREFIX
        kept = self.record(name).get("prefix")
        try:
            # Nobody ever ends what a pipe or a device holds.
            if path.exists() and not path.is_file():
                raise ExamplesError(f"'{path}' is no file.")
            found = read_examples(path) if path.exists() else []
        except ExamplesError as error:
            raise AdapterRefused(f"The {PREFIX} of '{name}' cannot be read: {error}") from error
        if len(found) > SHOWN:
            raise AdapterRefused(f"'{name}' keeps {len(found)} examples in its {PREFIX}, and {SHOWN} are the most: make it again.")
        if kept is not None and kept != len(found):
            raise AdapterRefused(f"'{name}' keeps {kept} examples and its {PREFIX} holds {len(found)}: copy it again, or make it again.")
        return found

    def system(self, name: str) -> str:
        """What the system said in all of the examples that an adapter was taught from; empty: nothing.

        Raises:
            AdapterRefused: see `record`.
        """
        return str(self.record(name).get("system") or "")

    def record(self, name: str) -> dict[str, Any]:
        """What `headstart.json` says; empty for an adapter that another tool wrote.

        The name is the folder's, whatever the adapter was called when it was made: so another name is one rename, and that is all of it.

        Raises:
            AdapterRefused: the file is broken, or is not what headstart writes.
        """
        path = self.known(name) / RECORD
        if not path.is_file():
            return {}
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise AdapterRefused(f"The {RECORD} of '{name}' cannot be read ({error}); remove the adapter or make it again.") from error
        check(name, text)
        record: dict[str, Any] = json.loads(text)
        return record | {"name": name} if "name" in record else record

    def rename(self, name: str, to: str) -> Path:
        """Give an adapter another name.

        Raises:
            NameRefused: there is none of that name, or the other is taken or unsafe.
            StorageError: it still has its name.
        """
        self.mend(name)
        path, final = self.known(name), self.named(to)
        if self.taken(to):
            raise NameRefused(f"There is an adapter '{to}' already: give another name, or remove that one first.")
        try:
            path.rename(final)
        except FileNotFoundError as error:
            raise NameRefused(f"There is no adapter '{name}' any more.") from error
        except OSError as error:
            raise StorageError(f"'{name}' could not be renamed ({error.strerror}); it still has its name.") from error
        return final

    def card(self, name: str) -> str:
        """What people are told of an adapter, under the name that it has now, in its maker's words if it has any; empty: nothing is known.

        Raises:
            NameRefused, AdapterRefused: see `record`.
        """
        record, file = self.record(name), self.known(name) / "README.md"
        if file.is_file():
            # It is for people: whatever of it is no text is shown as such.
            return card.titled(name, file.read_text(encoding="utf-8", errors="replace"))
        return card.render(name, record) if (record.get("base") or {}).get("name") else ""

    def _there(self, path: Path) -> bool:
        """Whether an adapter lies at a path, also where it is just being replaced, or a kill came in the middle of that."""
        former, deadline = disk.former_of(path), time.monotonic() + PATIENCE
        while not os.path.isfile(path / peft.CONFIG):
            if former.exists() and time.monotonic() < deadline:
                time.sleep(_LOOK)
                continue
            if former.exists():
                disk.sweep(self.root)
            # The new one may have come, and the former gone, between two looks.
            return os.path.isfile(path / peft.CONFIG)
        return True


def lines(examples: Sequence[Example]) -> str:
    """Examples as `prefix.jsonl` holds them."""
    rows = [{"messages": as_chat(e.messages)} for e in examples]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _check_key(name: str, made_for: Mapping[str, str], key: BaseKey) -> None:
    differs = [
        f"{what} (adapter {str(made_for.get(field))[:12]}, here {here[:12]})"
        for what, field, here in (
            ("the base's weights", "content", key.content),
            ("the tokenizer", "tokenizer", key.tokenizer),
            ("the chat template", "template", key.template),
        )
        if made_for.get(field) != here
    ]
    if differs:
        there = str(made_for.get("name"))
        raise AdapterRefused(f"'{name}' {another_base(there, key.name, differs, f'Give --base {there}', 'adapt again on this base.')}")
