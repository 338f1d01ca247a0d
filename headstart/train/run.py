"""A run's folder: what was asked, what happened, where it stands, and what came of it.

config.toml   the settings, every one of them
base.json     what is bent, if anything is, by name and hash; and the hash of the weights that it began with, if it did not begin afresh
tasks.json    of tasks that lie in files, who trains and who is judged
log.jsonl     a line a validation
checkpoint/   where the run stands: tensors and facts, and the seconds that it took, beside them as no two runs take the same
curve.png     the log as a picture
result.json   scores on test tasks, once the run has ended
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from headstart import disk
from headstart.bank import Weights
from headstart.config import make_folder
from headstart.errors import RunRefused, StorageError
from headstart.locks import locked
from headstart.train.checkpoint import FACTS, TENSORS, learned, pack, unpack
from headstart.train.filed import Sides
from headstart.train.meta import State
from headstart.train.same import BASE, CONFIG, TASKS, compare_base, compare_settings, compare_tasks, read_sides
from headstart.train.spread import ALONE, Team

LOG, CHECKPOINT, RESULT, CURVE = "log.jsonl", "checkpoint", "result.json", "curve.png"
SPENT = "spent.json"
_LOCK = ".lock"
_FILES = (LOG, RESULT, CURVE, BASE, TASKS, CONFIG)


@final
@dataclass(frozen=True)
class Run:
    """A folder that is open; the first process of a team alone writes to it."""

    folder: Path
    team: Team = ALONE

    def state(self, begin: State) -> State:
        """Where the run stands, or `begin`; what the log says of later steps is taken back.

        Raises:
            RunRefused: the checkpoint is damaged.
        """
        place = self.folder / CHECKPOINT
        files = {name: self.team.first(partial(_bytes, place / name)) for name in (FACTS, TENSORS)}
        state = unpack(files, begin) if any(files.values()) else begin
        self._log([line for line in self.lines() if line["step"] <= state.step])
        return state

    def spent(self) -> float:
        """Seconds that the run took up to its checkpoint; none is known of a checkpoint that says none.

        Raises:
            RunRefused: the checkpoint is damaged.
        """
        place = self.folder / CHECKPOINT / SPENT
        try:
            return float(json.loads(_bytes(place) or b"0"))
        except (ValueError, TypeError) as error:
            raise RunRefused(f"'{place}' cannot be read ({error}): remove it, and the run's seconds are counted from here on.") from error

    def keep(self, state: State, spent: float = 0.0) -> None:
        """Write a checkpoint in place of the former, whole or not at all.

        Args:
            state: where the run stands.
            spent: seconds that it took to get there.

        Raises:
            StorageError: the disk refuses; the former is still there.
        """
        if self.team.rank == 0:
            with disk.new_folder(self.folder / CHECKPOINT, replace=True) as pending:
                for name, content in pack(state).items():
                    (pending / name).write_bytes(content)
                (pending / SPENT).write_text(json.dumps(round(spent, 3)) + "\n")

    def note(self, line: Mapping[str, Any]) -> None:
        """Put a line into the log in place of what it says of this step and later ones, if anything.

        To be called before `keep` of the same step, so that a checkpoint never lacks its line.

        Raises:
            StorageError: the disk refuses; the log is as it was.
        """
        self._log([*(former for former in self.lines() if former["step"] < line["step"]), line])

    def lines(self) -> list[dict[str, Any]]:
        """The log.

        Raises:
            RunRefused: somebody wrote something else into it.
        """
        try:
            return [_line(json.loads(text)) for text in _bytes(self.folder / LOG).decode().splitlines()]
        except ValueError as error:
            raise RunRefused(f"'{self.folder / LOG}' cannot be read ({error}): --fresh starts the run over.") from error

    def result(self) -> dict[str, Any] | None:
        """What came of the run, if it has ended.

        Raises:
            RunRefused: the file is damaged.
        """
        text = self.team.first(lambda: _bytes(self.folder / RESULT))
        try:
            found: dict[str, Any] | None = json.loads(text) if text else None
        except ValueError as error:
            raise RunRefused(f"'{self.folder / RESULT}' cannot be read ({error}): remove it.") from error
        return found

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write what came of the run.

        Raises:
            StorageError: the disk refuses.
        """
        if self.team.rank == 0:
            disk.write_text(self.folder / RESULT, json.dumps(result, indent=2, ensure_ascii=False) + "\n")

    def _log(self, lines: Iterable[Mapping[str, Any]]) -> None:
        # Written whole each time: a kill can leave no half a line behind.
        if self.team.rank == 0:
            disk.write_text(self.folder / LOG, "".join(json.dumps(line) + "\n" for line in lines))


def stands(folder: Path) -> bool:
    """Whether a run has left a checkpoint in a folder: something to go on from, and to begin another from."""
    return any((place / FACTS).exists() for place in _checkpoints(folder))


def learned_in(folder: Path, base: Mapping[str, str] | None = None) -> Weights:
    """What the run of a folder has learned so far: the best in validation, or else the last.

    Args:
        folder: of the run.
        base: see `open_run`.

    Raises:
        RunRefused: there is no run, its checkpoint is damaged, or it was trained on another base.
    """
    content = next(filter(None, (_bytes(place / TENSORS) for place in _checkpoints(folder))), b"")
    if not content:
        raise RunRefused(f"'{folder}' holds no run: a folder with {CHECKPOINT}/{TENSORS} is wanted.")
    compare_base(folder, _bytes(folder / BASE), base)
    return learned({TENSORS: content})


def sides_in(folder: Path) -> Sides:
    """Of the run of a folder, see `Filed`; nothing where its tasks are made up.

    Raises:
        RunRefused: the file is damaged.
    """
    return read_sides(folder, _bytes(folder / TASKS))


@contextlib.contextmanager
def open_run(
    folder: Path,
    config: str,
    fresh: bool = False,
    team: Team = ALONE,
    base: Mapping[str, str] | None = None,
    absent: Mapping[str, Any] | None = None,
    sides: Sides | None = None,
) -> Iterator[Run]:
    """A run's folder, made or gone on with; one run at a time.

    Args:
        folder: where.
        config: the settings as TOML, every one of them.
        fresh: forget what the folder holds of a run; other files in it stay.
        team: the processes of the run; the first one's folder counts.
        base: what the weights bend and fit nothing else than: its "name", and what tells it from others -> a hash of that. None:
            nothing, or whatever the run here was begun with. What `BEGUN` says is kept, and never compared.
        absent: "key" or "table.key" -> its default. A run of before there was such a key is one of this value, and goes on.
        sides: see `Filed`; another deal of the files is another run.

    Raises:
        RunRefused: a checkpoint of other settings, which are named, of other tasks or another base; another run is at work here; or what
            lies here is called as a run's files are, and no run's.
        StorageError: the folder cannot be written.
    """
    with _locked(folder) if team.rank == 0 else contextlib.nullcontext():
        if team.rank == 0:
            disk.sweep(folder, alone=True)
            if fresh:
                _forget(folder)
        former = team.first(lambda: _settings(folder))
        if former:
            compare_settings(folder, former, config, absent or {})
            compare_base(folder, team.first(partial(_bytes, folder / BASE)), base)
            compare_tasks(folder, team.first(partial(_bytes, folder / TASKS)), sides or {})
        elif team.rank == 0:
            _forget(folder)
            for name, told in ((BASE, base), (TASKS, sides)):
                if told:
                    disk.write_text(folder / name, json.dumps(dict(told), indent=2, ensure_ascii=False) + "\n")
        if team.rank == 0:
            # Settings that came in since are the run's from now on, whatever a later default is.
            disk.write_text(folder / CONFIG, config)
        yield Run(folder, team)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The kernel lets go of the lock when the process ends, however it ends."""
    try:
        _refuse_foreign(folder)
        make_folder(folder)
        handle = (folder / _LOCK).open("w")
    except OSError as error:
        raise StorageError(f"'{folder}' cannot be a run's folder ({error.strerror}).") from error
    with handle:
        # On a disk that knows no locks, as some that are shared over a network, runs are trusted not to meet, and each to be alone.
        if locked(handle.fileno()) is False:
            raise RunRefused(f"Another run is at work in '{folder}': wait for it, or give another --out.")
        yield


def _refuse_foreign(folder: Path) -> None:
    """What is called as a run's files are is a user's own where no run ever was: it would be written over, and forgotten."""
    if (folder / _LOCK).exists() or stands(folder):
        return
    found = [name for name in (CHECKPOINT, *_FILES) if (folder / name).exists()]
    if found:
        raise RunRefused(f"'{folder}' holds {', '.join(found)} and no run: give another --out.")


def _settings(folder: Path) -> bytes:
    """The settings of the run that left a checkpoint here; nothing if none did."""
    if not (folder / CHECKPOINT).exists():
        return b""
    if not (folder / CONFIG).exists():
        raise RunRefused(f"'{folder}' holds a checkpoint and no {CONFIG}: --fresh starts the run over.")
    return (folder / CONFIG).read_bytes()


def _forget(folder: Path) -> None:
    if (folder / CHECKPOINT).exists():
        disk.discard(folder / CHECKPOINT)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


def _line(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict) or not isinstance(found.get("step"), int):
        raise ValueError("a line names no step")
    return found


def _checkpoints(folder: Path) -> tuple[Path, ...]:
    """Where it may lie, in the order in which to look: while it is replaced, and after a kill in the middle of that, it is set aside."""
    place = folder / CHECKPOINT
    # The first once more, as the new one may have come between two looks.
    return place, disk.former_of(place), place


def _bytes(path: Path) -> bytes:
    # Not looked for first: a checkpoint may be replaced between a look and the reading.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return path.read_bytes()
    return b""
