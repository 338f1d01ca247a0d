"""How repositories are named on the Hugging Face Hub, and what is said where it refuses one."""

from __future__ import annotations

import re

from headstart.errors import first_line

ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
"""How models are named on the hub."""


def hush() -> None:
    """Keep the hub's library from warning of each of its tries, in lines of its own: that the hub is away is told here, once."""
    import huggingface_hub

    huggingface_hub.logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def no_base(name: str) -> str:
    """What is said of a base's name that is none of the hub's either."""
    return f"'{name}' is neither a folder, a .gguf file nor a Hugging Face id (owner/model)."


def refusal(error: BaseException, name: str) -> str:
    """Why the hub refuses a repository; empty: the error tells of something else."""
    # Imported where it is wanted: the library is slow to open.
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    if isinstance(error, HFValidationError):
        return f"'{name}' is no name of a repository: {first_line(error).rstrip('.')}."
    if isinstance(error, GatedRepoError):
        return f"'{name}' is gated: accept its terms on its page, then log in with `hf auth login`."
    if isinstance(error, RepositoryNotFoundError):
        return unseen(name)
    return ""


def unseen(name: str) -> str:
    """What is said of a repository that the hub shows nobody, or not to this one."""
    return f"There is no model '{name}' on the hub, or it is private: log in with `hf auth login` as somebody who may see it."
