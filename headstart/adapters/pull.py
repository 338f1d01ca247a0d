"""An adapter from the Hugging Face Hub onto the shelf: known files alone, of bounded size, looked through before they are seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils.tqdm import tqdm

from headstart import disk
from headstart.adapters import peft
from headstart.adapters.hub import CARD, FILES, asking, hub
from headstart.adapters.starts import refuse_start
from headstart.adapters.store import Shelf
from headstart.adapters.wear import graft_for, key_of
from headstart.errors import AdapterRefused, HubRefused
from headstart.lm.load import Base
from headstart.streams import plain

_MOST = {peft.WEIGHTS: 1_000_000_000}
"""Bytes that are fetched of a file."""
_MOST_TEXT = 20_000_000
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class _Fleeting(tqdm):
    """The library's bar, gone when its file is there."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings | {"leave": False})  # type: ignore[no-untyped-call]


def pull(shelf: Shelf, repo: str, name: str, revision: str | None, replace: bool, base: Callable[[], Base] | None) -> dict[str, Any]:
    """Fetch an adapter; it stands on the shelf whole and looked through, or not at all.

    Args:
        shelf: where it goes.
        repo: of the hub.
        name: what it is called here.
        revision: a branch, a tag or a commit; None: the newest.
        replace: allow taking another adapter's place.
        base: loads a base that it has to fit.

    Raises:
        NameRefused: the name is unsafe, taken, or a start's.
        HubRefused: it could not be fetched.
        AdapterRefused: too large, pickled, broken, inexpressible, or made for another base.
        StorageError: the disk is full or refuses.
    """
    refuse_start(name)
    path, api = shelf.free(name, replace), hub(repo)
    with asking(repo):
        found = api.model_info(repo, revision=revision, files_metadata=True)
    files = _wanted(repo, found.siblings or [])
    with disk.new_folder(path, replace) as pending:
        # On a shelf of its own, so that whatever is wrong with it is told by its name.
        staged = Shelf(pending / "fetched")
        for file in files:
            _fetch(api, repo, str(found.sha), file, staged.path(name))
        facts = _looked_through(staged, name, base)
        for file in files:
            (staged.path(name) / file.rfilename).rename(pending / file.rfilename)
        shutil.rmtree(staged.root)
    names = [file.rfilename for file in files]
    size = disk.size(path)
    return {"name": name, "path": str(path), "repo": repo, "revision": found.sha, "files": names, "adapter_bytes": size} | facts


def _wanted(repo: str, there: Sequence[RepoSibling]) -> list[RepoSibling]:
    """The files to fetch."""
    names = {it.rfilename for it in there}
    pickled = sorted(it for it in names if it.endswith(_PICKLED))
    if peft.CONFIG not in names:
        raise AdapterRefused(f"'{repo}' is no adapter: it has no {peft.CONFIG}. (A whole model is named with --base.)")
    if peft.WEIGHTS not in names and pickled:
        raise AdapterRefused(
            f"'{repo}' holds its weights in {pickled[0]}, a pickle, which could run code: ask its maker for {peft.WEIGHTS}."
        )
    if peft.WEIGHTS not in names:
        raise AdapterRefused(f"'{repo}' has no {peft.WEIGHTS}.")
    wanted = [it for it in there if it.rfilename in FILES]
    for it in wanted:
        most = _MOST.get(it.rfilename, _MOST_TEXT)
        if it.size is None or it.size > most:
            size = "of unknown size" if it.size is None else f"{it.size / 1e6:,.0f} MB"
            raise AdapterRefused(f"The {it.rfilename} of '{repo}' is {size}, and {most / 1e6:,.0f} MB at most are fetched.")
    return wanted


def _fetch(api: HfApi, repo: str, commit: str, file: RepoSibling, folder: Path) -> None:
    """One file, compared with what the hub said of it."""
    with asking(repo):
        got = Path(api.hf_hub_download(repo, file.rfilename, revision=commit, local_dir=folder, tqdm_class=_Fleeting))
    if got.stat().st_size != file.size or (file.lfs and disk.sha256(got) != file.lfs.sha256):
        raise HubRefused(f"What came as {file.rfilename} of '{repo}' is not the file that the hub lists: pull it again.")


def _looked_through(staged: Shelf, name: str, base: Callable[[], Base] | None) -> dict[str, Any]:
    """What is known of an adapter that can be worn."""
    config = peft.read(staged.known(name))[1]
    known, kept = staged.record(name), len(staged.prefix(name))
    made_for = (known.get("base") or {}).get("name") or config.get("base_model_name_or_path")
    if base is not None:
        here = base()
        graft_for(here, name, staged.read(name, key_of(here))).remove()
    card = staged.path(name) / CARD
    if card.is_file():
        # It is shown on terminals, by programs that take nothing out of it too.
        card.write_text(plain(card.read_text(encoding="utf-8", errors="replace")), encoding="utf-8")
    facts = {"base": made_for, "base_checked": base is not None, "record": bool(known), "prefix": kept, "system": staged.system(name)}
    return facts | {"scores": known.get("scores") or {}, "licence": known.get("licence")}
