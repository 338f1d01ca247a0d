"""The Hugging Face Hub: at hand or not, and whatever it refuses as one error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, RevisionNotFoundError

from headstart.adapters import peft
from headstart.adapters.store import PREFIX, RECORD
from headstart.config import offline
from headstart.errors import HubRefused, first_line
from headstart.repository import ID, refusal, unseen

CARD = "README.md"
FILES = (peft.CONFIG, peft.WEIGHTS, RECORD, PREFIX, CARD)
"""All that is written to an adapter's repository, and read of it."""


def hub(repo: str) -> huggingface_hub.HfApi:
    """The hub, to be asked about one repository.

    Raises:
        HubRefused: offline, or no repository's name.
    """
    if not ID.fullmatch(repo) or "/" not in repo:
        raise HubRefused(f"'{repo}' is no repository: owner/name is wanted, such as jane/my-dialect.")
    if offline():
        raise HubRefused("Adapters are shared over the network, and this run is to stay offline (--offline, or HF_HUB_OFFLINE).")
    # The library reads this when it is first imported, which may have been long ago.
    return huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT", "").rstrip("/") or None)


def logged_in() -> None:
    """See that there is a token.

    Raises:
        HubRefused: there is none.
    """
    if not huggingface_hub.get_token():
        raise HubRefused("Nobody is logged in to the hub: `hf auth login` with a token that may write, or HF_TOKEN in the environment.")


@contextmanager
def asking(repo: str) -> Iterator[None]:
    """Turn whatever the library raises into one error that says what to do.

    Raises:
        HubRefused: see there.
        OSError: this machine's disk refuses.
    """
    try:
        yield
    except Exception as error:
        # Errors of the hub and of the network have no number of the system's.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise HubRefused(_why(error, repo)) from error


def _why(error: BaseException, repo: str) -> str:
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__:
        return _why(error.__cause__, repo)
    if isinstance(error, RevisionNotFoundError):
        return f"'{repo}' has no such revision: a branch, a tag or a commit is wanted."
    if isinstance(error, HfHubHTTPError):
        return _refused(error, repo)
    if isinstance(error, OfflineModeIsEnabled):
        return "Adapters are shared over the network, and this run is to stay offline (HF_HUB_OFFLINE)."
    if why := refusal(error, repo):
        return why
    if isinstance(error, (RuntimeError, ValueError)):
        return f"The transfer of '{repo}' failed: {first_line(error.__cause__ or error).rstrip('.')}"
    return f"The hub cannot be reached for '{repo}' ({first_line(error).rstrip('.')}): try again with a network."


def _refused(error: HfHubHTTPError, repo: str) -> str:
    code, said = error.response.status_code, error.server_message or ""
    if code == 401 and "credentials" in f"{said}{error}":
        return "The hub does not know this token: log in again with `hf auth login`, or mend HF_TOKEN."
    if why := refusal(error, repo) or (unseen(repo) if code == 401 else ""):
        return why
    if code == 403:
        return f"This token may not do that to '{repo}' ({said or 'forbidden'}): log in with one that may, or name a repository of yours."
    return f"The hub refused '{repo}': {said or first_line(error).rstrip('.')} ({code})."
