"""Bases from the Hugging Face hub, or from what an earlier run has kept of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

from headstart.errors import BaseRefused, nearest

_FILES = [
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "*.jinja",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "*.model",
]


def fetched(name: str, known: Iterable[str], tell: Callable[[str], None]) -> Path:
    """The local folder of a hub model, downloaded if need be.

    Args:
        name: `owner/model`.
        known: names to offer beside the ones kept here, should this one not exist.
        tell: called before a download.

    Raises:
        BaseRefused: no such model, no access, or no network and nothing kept.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise BaseRefused(
            f"'{name}' is neither a folder, a .gguf file nor a Hugging Face id (owner/model).{nearest(name, [*known, *_kept()])}"
        )
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        tell(f"fetching {name}")
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES))
    except GatedRepoError as error:
        raise BaseRefused(f"'{name}' is gated: accept its licence on its page, then log in with `hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise BaseRefused(f"There is no model '{name}' on the hub, or it is private.{nearest(name, [*known, *_kept()])}") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, OSError) as error:
        raise BaseRefused(
            f"'{name}' is not on this machine and the hub cannot be reached (offline, or no network).{nearest(name, [*known, *_kept()])}"
        ) from error


def _kept() -> list[str]:
    try:
        return [repo.repo_id for repo in huggingface_hub.scan_cache_dir().repos if repo.repo_type == "model"]
    except huggingface_hub.errors.CacheNotFound:
        return []
