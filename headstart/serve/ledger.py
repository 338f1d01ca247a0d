"""Files that clients left and jobs that they asked for, in one SQLite file: they outlive the server, and a kill loses nothing."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from headstart.adapters.beginnings import AUTO
from headstart.config import make_folder
from headstart.errors import StorageError

_JOBS, _MADE_UP = "ftjob-", "ft-"
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
_TABLES = """
CREATE TABLE IF NOT EXISTS files (number INTEGER PRIMARY KEY, id TEXT UNIQUE, created INTEGER, name TEXT, purpose TEXT, content BLOB);
CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY, id TEXT UNIQUE, created INTEGER, file TEXT, adapter TEXT, wish TEXT,
    status TEXT, finished INTEGER, error TEXT, tokens INTEGER, result TEXT);
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, job TEXT, created INTEGER, level TEXT, message TEXT, data TEXT);
"""


@final
@dataclass(frozen=True)
class Upload:
    """A file without its content."""

    id: str
    created: int
    """Seconds since 1970, here and below."""
    name: str
    purpose: str
    bytes: int


@final
@dataclass(frozen=True)
class Wish:
    """What a client asked for besides examples and a name."""

    start: str = AUTO
    replace: bool = False
    """Whether an adapter of that name may be replaced."""
    scratch: bool = False
    """Whether the report scores adapters from no start, too."""
    prefix: bool = True
    """Whether the examples may stand in front."""
    passes: int | None = None
    """Over the examples; None: as the start or the recipe has it."""
    faster: float = 1.0
    """Times the step size of the start or the recipe."""
    seed: int = 0
    metadata: dict[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Job:
    """An adapter to be taught."""

    id: str
    created: int
    file: str
    adapter: str
    """The name that it gets."""
    wish: Wish
    status: Status
    finished: int | None
    error: str | None
    tokens: int | None
    """Of examples, in all passes."""
    result: str | None
    """The file with the honest report."""

    @property
    def suffix(self) -> str | None:
        """The name that the client gave; None: none, and it was made up after the job."""
        return None if self.adapter == self.id.replace(_JOBS, _MADE_UP, 1) else self.adapter


@final
@dataclass(frozen=True)
class Event:
    """What happened to a job."""

    number: int
    created: int
    level: str
    message: str
    data: dict[str, Any] | None


@final
class Ledger:
    """One server's for as long as it is open; any thread's.

    Args:
        path: of the SQLite file; made where it is missing.

    Raises:
        StorageError: another server has it, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            make_folder(path.parent)
            self._db = _opened(path)
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                why = "is another `headstart serve` running on this base? Stop it, or give this one a HEADSTART_HOME of its own."
            else:
                why = "give this server a HEADSTART_HOME that can be read and written."
            raise StorageError(f"The jobs in '{path}' cannot be opened ({error}): {why}") from error

    def close(self) -> None:
        """Let another server have it."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What the block notes is noted whole or, after an error or a kill, not at all; other threads wait meanwhile."""
        with self._lock:
            self._do("BEGIN")
            try:
                yield
                self._do("COMMIT")
            except BaseException:
                # A full disk may have taken it back by itself.
                self._db.rollback()
                raise

    def keep(self, name: str, purpose: str, content: bytes) -> Upload:
        """A new file."""
        made = Upload(f"file-{secrets.token_hex(12)}", int(time.time()), name, purpose, len(content))
        self._do(
            "INSERT INTO files (id, created, name, purpose, content) VALUES (?, ?, ?, ?, ?)",
            *(made.id, made.created, name, purpose, content),
        )
        return made

    def uploads(self) -> list[Upload]:
        """Of all files, the newest first."""
        return [Upload(*row) for row in self._do("SELECT id, created, name, purpose, length(content) FROM files ORDER BY number DESC")]

    def upload(self, file: str) -> Upload | None:
        """One; None: there is none."""
        rows = self._do("SELECT id, created, name, purpose, length(content) FROM files WHERE id = ?", file)
        return Upload(*rows[0]) if rows else None

    def content(self, file: str) -> bytes | None:
        """Of a file; None: there is none."""
        rows = self._do("SELECT content FROM files WHERE id = ?", file)
        return rows[0][0] if rows else None

    def drop(self, file: str) -> None:
        """Forget a file."""
        self._do("DELETE FROM files WHERE id = ?", file)

    def ask(self, file: str, adapter: str | None, wish: Wish) -> Job:
        """A new job, behind those that wait; without a name its adapter gets one after the job."""
        number = secrets.token_hex(8)
        name = adapter or f"{_MADE_UP}{number}"
        made = Job(f"{_JOBS}{number}", int(time.time()), file, name, wish, "queued", None, None, None, None)
        self._do(
            "INSERT INTO jobs (id, created, file, adapter, wish, status) VALUES (?, ?, ?, ?, ?, 'queued')",
            *(made.id, made.created, file, name, json.dumps(asdict(wish))),
        )
        return made

    def jobs(self) -> list[Job]:
        """All, the newest first."""
        return [_job(row) for row in self._do(f"SELECT {_JOB} FROM jobs ORDER BY number DESC")]

    def job(self, job: str) -> Job | None:
        """One; None: there is none."""
        rows = self._do(f"SELECT {_JOB} FROM jobs WHERE id = ?", job)
        return _job(rows[0]) if rows else None

    def first(self) -> Job | None:
        """The one that has waited longest; one that a stopped server had begun comes before all others."""
        rows = self._do(f"SELECT {_JOB} FROM jobs WHERE status IN ('running', 'queued') ORDER BY number LIMIT 1")
        return _job(rows[0]) if rows else None

    def begin(self, job: str) -> None:
        """It is being worked at, unless it has ended."""
        self._do("UPDATE jobs SET status = 'running' WHERE id = ? AND finished IS NULL", job)

    def wait(self, job: str) -> None:
        """It is to be begun again by the next server, unless it has ended."""
        self._do("UPDATE jobs SET status = 'queued' WHERE id = ? AND finished IS NULL", job)

    def end(self, job: str, status: Status, error: str | None = None, tokens: int | None = None, result: str | None = None) -> None:
        """Nothing more will happen to it."""
        self._do(
            "UPDATE jobs SET status = ?, finished = ?, error = ?, tokens = ?, result = ? WHERE id = ?",
            *(status, int(time.time()), error, tokens, result, job),
        )

    def tell(self, job: str, message: str, level: str = "info", data: Mapping[str, Any] | None = None) -> None:
        """Something happened to a job."""
        self._do(
            "INSERT INTO events (job, created, level, message, data) VALUES (?, ?, ?, ?, ?)",
            *(job, int(time.time()), level, message, None if data is None else json.dumps(data)),
        )

    def events(self, job: str) -> list[Event]:
        """All that happened to it, the newest first."""
        return self.since(job, 0)[::-1]

    def told(self, job: str, message: str) -> int:
        """How often this happened to it."""
        count: int = self._do("SELECT count(*) FROM events WHERE job = ? AND message = ?", job, message)[0][0]
        return count

    def since(self, job: str, number: int) -> list[Event]:
        """What happened to it behind an event, in order."""
        rows = self._do(
            "SELECT number, created, level, message, data FROM events WHERE job = ? AND number > ? ORDER BY number", job, number
        )
        return [Event(number, at, level, said, data and json.loads(data)) for number, at, level, said, data in rows]

    def _do(self, statement: str, *values: Any) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"The file of jobs cannot be read or written ({error}).") from error


def _opened(path: Path) -> sqlite3.Connection:
    """This server's alone; where that cannot be, nothing stays open."""
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # A second server over the same jobs would teach them twice.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.executescript(f"BEGIN EXCLUSIVE; {_TABLES} COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


_JOB = "id, created, file, adapter, wish, status, finished, error, tokens, result"


def _job(row: tuple[Any, ...]) -> Job:
    id, created, file, adapter, wish, *rest = row
    return Job(id, created, file, adapter, Wish(**json.loads(wish)), *rest)
