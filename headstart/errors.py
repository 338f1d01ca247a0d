"""Every error a user can meet, on one page.

Each message says what was got, what was wanted and what to do; `exit_code` is what the shell sees, `word` what it begins with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """Something the user can mend; shown without a traceback."""

    exit_code = 1
    word = "error"


class ExamplesError(HeadstartError):
    """An examples file that cannot be used: empty, bad rows, a prompt too long."""


class NameRefused(HeadstartError):
    """An adapter name that is taken, unsafe or unknown."""


class BaseRefused(HeadstartError):
    """A base model that cannot be found, read or bent."""


class AdapterRefused(HeadstartError):
    """An adapter that is broken, inexpressible or made for another base."""


class HubRefused(HeadstartError):
    """A transfer that was not made: offline, no network, no such repository, no access."""


class BankError(HeadstartError):
    """Weights that do not fit the bank, or rows that do not fit the slots."""


class TasksError(HeadstartError):
    """Tasks that cannot be drawn: too few classes or examples, files missing or unreadable, a download that failed."""


class SettingsError(HeadstartError):
    """A config that cannot be used: unknown keys, wrong types, values out of range."""


class RunRefused(HeadstartError):
    """A run folder that cannot be gone on with: another config's, or damaged."""


class Diverged(HeadstartError):
    """A loss, or what a model says of the next token, that is no number any more."""

    def __init__(self, told: str, lost: int = 0, of: int = 0) -> None:
        super().__init__(told)
        self.lost, self.of = lost, of
        """Tasks that ended in no number, and tasks in all."""


class Stopped(HeadstartError):
    """The user stopped it; the message says what was kept."""

    exit_code = 130
    word = "stopped"


class StorageError(HeadstartError):
    """A write that could not be finished; what was there before still is."""


class NoRoom(HeadstartError):
    """Memory that is not there, or that the system refused."""


class EngineGone(HeadstartError):
    """An engine, ours or another, that is not there or does not answer as it should."""


class Busy(HeadstartError):
    """The server's queue is full; ask again in a while."""


def first_line(error: BaseException) -> str:
    """What an error of another's says, shortly; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence naming the closest known names, for the end of an error message."""
    choices = sorted(set(known))
    if not choices:
        return ""
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.4) or choices[:3]
    return " Nearest: " + ", ".join(close) + "."
