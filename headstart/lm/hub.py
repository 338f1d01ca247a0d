"""Bases from the Hugging Face hub, or from what an earlier run has kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from headstart.errors import BaseRefused, StorageError, nearest
from headstart.repository import ID, no_base, refusal
from headstart.whole import lacking

_FILES = [
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "*.jinja",
    "tokenizer*.json",
    "vocab*.json",
    "vocab*.txt",
    "merges.txt",
    "special_tokens_map.json",
    "*.model",
]
"""By their endings too: no file of code, and none that would have to be unpickled, is fetched."""


def fetched(name: str, known: Iterable[str], tell: Callable[[str], None]) -> Path:
    """The local folder of a hub model, downloaded if need be: none of it is here, or only a part.

    Args:
        name: `owner/model`.
        known: names to offer beside the ones kept here, should this one not exist.
        tell: called before a download.

    Raises:
        BaseRefused: no such model, no access, or no network and less than the whole kept.
        StorageError: the disk refuses.
    """
    if not ID.fullmatch(name):
        raise BaseRefused(no_base(name) + nearest(name, [*known, *_kept()]))
    folder, missing = _here(name)
    if folder and not missing:
        return folder
    tell(f"fetching {name}")
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES))
    except Exception as error:
        if why := refusal(error, name):
            raise BaseRefused(why + nearest(name, [*known, *_kept()])) from error
        # Only errors of this machine have a number; those of the network are of a library that changes its name.
        if isinstance(error, OSError) and error.errno is not None:
            raise StorageError(f"'{name}' could not be kept on this machine: {error.strerror}. Make room, or set HF_HOME.") from error
        raise BaseRefused(_out_of_reach(name, known)) from error
    # Where the hub cannot be reached its library may hand over whatever there is.
    if lacking(folder) and not _reached(name):
        raise BaseRefused(_out_of_reach(name, known))
    return folder


def whole(name: str) -> bool:
    """Whether a model is here with all that belongs to it, so that nothing has to be fetched."""
    folder, missing = _here(name)
    return folder is not None and not missing


def _here(name: str) -> tuple[Path | None, list[str]]:
    """Where an earlier run has kept a model, and what is lacking of it; None: nowhere."""
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        # A download that was cut short left a list of files behind, by which the library tells a part from the whole.
        part = getattr(error, "snapshot_path", None)
        return (Path(part), lacking(Path(part)) or ["a smaller file"]) if part else (None, [])
    return folder, lacking(folder)


def _reached(name: str) -> bool:
    """Whether the hub answers. What a model lacks there too, loading it says."""
    try:
        huggingface_hub.HfApi().model_info(name)
    except Exception:
        return False
    return True


def _out_of_reach(name: str, known: Iterable[str]) -> str:
    """What is said of a model that is not here, or not all of it, where the hub cannot be reached."""
    folder, missing = _here(name)
    if folder is None:
        return f"'{name}' is not on this machine and the hub cannot be reached (offline, or no network).{nearest(name, [*known, *_kept()])}"
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return (
        f"Of '{name}' only a part is on this machine, without {', '.join(missing[:3])}{more}, and the hub cannot be reached "
        "(offline, or no network): ask again with a network, and the rest is fetched."
    )


def _kept() -> list[str]:
    try:
        return [repo.repo_id for repo in huggingface_hub.scan_cache_dir().repos if repo.repo_type == "model"]
    except huggingface_hub.errors.CacheNotFound:
        return []
