"""From a model's name to its shape: a table, a folder, a file's header, or what the hub says; never its weights."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, final

from headstart.config import offline
from headstart.errors import BaseRefused, nearest
from headstart.plan import headers
from headstart.plan.shape import Shape, shape_of
from headstart.repository import ID, hush, no_base, refusal
from headstart.terms import EMBEDDED
from headstart.whole import lacking, shards

_GIVE = "give a folder with a config.json, a .gguf file or a Hugging Face id"


@final
@dataclass(frozen=True)
class Model:
    """A base that is planned for."""

    name: str
    shape: Shape
    source: str
    """Where its shape was read."""
    stored: int | None = None
    """Numbers in its weight files, where they are here."""

    @property
    def differs(self) -> str:
        """What its files say otherwise than its config; empty: nothing."""
        if self.stored is None:
            return ""
        more = self.stored - self.shape.parameters
        # A tied head may be stored twice, and buffers are stored beside parameters.
        if 0 <= more <= self.shape.width * self.shape.vocabulary * self.shape.tied + self.shape.parameters // 100:
            return ""
        return f"its files hold {self.stored:,} numbers, its config says {self.shape.parameters:,}"


@functools.cache
def _table() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((files("headstart.plan") / "bases.json").read_text(encoding="utf-8"))["bases"]
    return found


def known() -> list[str]:
    """Names whose shape is shipped."""
    return [name for row in _table() for name in row["names"]]


def model(name: str | None) -> Model:
    """Look where it costs least first.

    Args:
        name: a folder, a config.json, a .gguf file, a Hugging Face id; None: the embedded base.

    Raises:
        BaseRefused: nothing of that name, or of a family that cannot be forecast.
    """
    name = name or EMBEDDED
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        config, stored = headers.gguf(path)
        return Model(str(path), shape_of(config, name), "the file's header", stored)
    if path.is_dir() or path.suffix == ".json":
        return _folder(name, path)
    if path.is_file():
        raise BaseRefused(f"'{name}' is a file, not a base: {_GIVE}.")
    row = next((row for row in _table() if name.lower() in _called(row)), None)
    if row is not None:
        return Model(row["names"][0] if name == EMBEDDED else name, shape_of(row["config"], name), "the table that is shipped")
    if path.is_absolute() or name.startswith(("./", "../", "~")) or path.suffix == ".gguf":
        raise BaseRefused(f"There is no base at '{name}': {_GIVE}.")
    return _hub(name)


def _called(row: Mapping[str, Any]) -> set[str]:
    """All that one row answers to."""
    return {word for name in row["names"] for word in (name.lower(), name.lower().rpartition("/")[2])}


def _folder(name: str, path: Path) -> Model:
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        lacks = f"There is no '{name}'" if name.endswith(".json") else f"'{name}' has no config.json"
        raise BaseRefused(f"{lacks}, so nothing tells of a model's shape: {_GIVE}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BaseRefused(f"'{file}' cannot be read as a config ({error}).") from error
    if not isinstance(config, dict):
        raise BaseRefused(f"'{file}' is no config: an object with a model_type is wanted.")
    return Model(name, shape_of(config, name), str(file), headers.safetensors(found) if (found := _weights(path)) else None)


def _weights(folder: Path) -> list[Path]:
    """The files of a folder's weights, as many as are there; none of a config alone."""
    try:
        return [folder / shard for shard in shards(folder) if (folder / shard).is_file()]
    except ValueError as error:
        raise BaseRefused(f"{error}: fetch it again.") from error


def _hub(name: str) -> Model:
    """What an earlier run has kept of it, else its config alone from the hub."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError

    if not ID.fullmatch(name):
        raise BaseRefused(no_base(name) + nearest(name, known()))
    hush()
    try:
        kept = huggingface_hub.try_to_load_from_cache(name, "config.json")
        if isinstance(kept, str):
            folder = Path(kept).parent
        elif offline():
            raise BaseRefused(f"'{name}' is neither in the table nor here, and --offline forbids asking the hub.{nearest(name, known())}")
        else:
            # What fetches one file by its name asks a hub that is away for half a minute.
            folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=["config.json"]))
        # The weight files of a download that was cut short say less than the config.
        return _folder(name, folder / "config.json" if lacking(folder) else folder)
    except (HFValidationError, OSError) as error:
        away = f"'{name}' is neither in the table nor on this machine, and the hub cannot be reached (offline, or no network)."
        raise BaseRefused((refusal(error, name) or away) + nearest(name, known())) from error
