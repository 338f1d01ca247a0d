"""Jobs, one after the other, in a thread of their own on a twin of the base, while the engine goes on answering.

A job that was at work when the server was stopped or killed is begun again by the next one: ten examples take seconds. One that was
killed twice is not, as it may be what kills. An adapter answers as soon as it is taught, and is checked then; whatever becomes of the
check, it stays.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, final

import torch

from headstart.adapters.beginnings import beginnings
from headstart.adapters.keep import keep, standing
from headstart.adapters.store import Shelf
from headstart.episode import Example
from headstart.errors import ExamplesError, HeadstartError, NameRefused, NoRoom
from headstart.lm.load import Base
from headstart.serve.apart import apart
from headstart.serve.ledger import Job, Ledger
from headstart.serve.placeless import placeless
from headstart.serve.request import Engine
from headstart.tasks.texts import Rows, parsed, reader_of
from headstart.teach import Beginning, Recipe, Taught, teach_from
from headstart.teach.choose import Progress
from headstart.teach.room import within
from headstart.teach.scratch import beside_scratch
from headstart.train.adapt import Schedule

_LOG = logging.getLogger(__name__)
_AGAIN = 1.0
"""Seconds until a job is tried again that could not be noted."""
KILLED = "The server was killed in the middle of this job: it is begun again."
TAKEN = 'There is an adapter \'{}\' already: give another suffix, or metadata {{"replace": "true"}} to put the new one in its place.'
_KILLS = 2
"""In whose middle a job is at work, and then no more."""


class _Cancelled(Exception):
    """The client wants it no more."""


class _Stopping(Exception):
    """The server goes down."""


@final
class Teacher:
    """Takes jobs from a ledger.

    Args:
        ledger: files and jobs.
        shelf: where adapters go.
        base: a twin of the engine's, this thread's alone.
        engine: told of each new adapter.
    """

    def __init__(self, ledger: Ledger, shelf: Shelf, base: Base, engine: Engine) -> None:
        self._ledger, self._shelf, self._base, self._engine = ledger, shelf, base, engine
        self._stopping, self._awake, self._deciding = threading.Event(), threading.Event(), threading.Lock()
        left = ledger.first()
        self._killed = left.id if left is not None and left.status == "running" else None
        """The job in whose middle the last server was killed, until it is begun again."""
        self._thread = threading.Thread(target=self._run, name="teacher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is a new job."""
        self._awake.set()

    def cancel(self, job: Job) -> bool:
        """Let a job go at its next step; False: it had ended."""
        with self._deciding, self._ledger.together():
            now = self._ledger.job(job.id)
            if now is None or now.finished is not None:
                return False
            self._ledger.end(job.id, "cancelled")
            self._ledger.tell(job.id, "The job was cancelled.")
            return True

    def stop(self) -> None:
        """Leave what is at work to the next server, and end."""
        self._stopping.set()
        self._awake.set()
        self._thread.join()

    def _run(self) -> None:
        most = torch.get_num_threads()
        while True:
            # Before anything is looked at, so that whoever wakes it meanwhile is not missed.
            self._awake.clear()
            if self._stopping.is_set():
                return
            try:
                job = self._ledger.first()
                if job is None:
                    self._awake.wait()
                else:
                    self._guarded(job, most)
            except Exception:
                # Where the ledger itself cannot be written, as on a full disk, the job is tried again.
                _LOG.exception("a job cannot be noted")
                self._stopping.wait(_AGAIN)

    def _guarded(self, job: Job, most: int) -> None:
        try:
            apart(partial(self._carry_out, job, most))
        except _Cancelled:
            return
        except _Stopping:
            self._ledger.wait(job.id)
            self._ledger.tell(job.id, "The server was stopped in the middle of this job: it is begun again.", "warn")
        except HeadstartError as error:
            self._fail(job, placeless(str(error)))
        except Exception:
            _LOG.exception("job %s failed", job.id)
            self._fail(job, "The job failed; the server's log says more.")

    def _carry_out(self, job: Job, most: int) -> None:
        self._ledger.begin(job.id)
        if (facts := self._made(job)) and facts["checked"]:
            # It was killed between the shelf and the ledger, and how many tokens it took is not known any more.
            with self._deciding:
                self._check(job)
                self._conclude(job, facts, None)
            return
        if job.id == self._killed:
            self._begin_again(job)
        file, content = self._ledger.upload(job.file), self._ledger.content(job.file)
        if file is None or content is None:
            raise ExamplesError("The training file was deleted before the job began: upload it again.")
        examples = read_examples(file.name, content)
        self._ledger.tell(job.id, f"{len(examples)} examples are read.")
        tick, tell = self._ticker(job, most), partial(self._ledger.tell, job.id, level="warn")
        ready = partial(self._ready, job, examples)
        taught = within(
            self._base,
            examples,
            self._beginnings(job, len(examples)),
            lambda begun: teach_from(self._base, examples, begun, tick, ready),
            tell,
        )
        if job.wish.scratch:
            taught = beside_scratch(self._base, examples, taught, _recipe(job), tick)
        # A step takes so many of the examples; all of them where nothing is said.
        share = min(1.0, (taught.beginning.recipe.batch or len(examples)) / len(examples))
        tokens = round(share * taught.steps * sum(len(self._base.chat.lay(example)) for example in examples))
        with self._deciding:
            self._check(job)
            if self._made(job) is None:
                raise NameRefused(f"'{job.adapter}' was removed or renamed while it was checked, so its report is not kept.")
            facts = keep(self._shelf, job.adapter, self._base, examples, taught, True, {"job": job.id, "checked": True})
            self._conclude(job, facts, tokens)

    def _begin_again(self, job: Job) -> None:
        """Note that a server was killed while it was at work."""
        self._killed = None
        if self._ledger.told(job.id, KILLED) + 1 >= _KILLS:
            raise NoRoom(
                f"The server was killed {_KILLS} times in the middle of this job, most likely as it took more memory than there is, and "
                "it is not begun again: ask anew with fewer or shorter examples, or serve a smaller base, or one in few bits."
            )
        self._ledger.tell(job.id, KILLED, "warn")

    def _made(self, job: Job) -> dict[str, Any] | None:
        """The record of the adapter that a job has put on the shelf, if it has."""
        return standing(self._shelf, job.adapter, {"job": job.id})

    def _ready(self, job: Job, examples: Sequence[Example], taught: Taught) -> None:
        """Let an adapter answer whose report is still to come."""
        with self._deciding:
            self._check(job)
            replaces = job.wish.replace or self._made(job) is not None
            if not replaces and self._shelf.taken(job.adapter):
                raise NameRefused(TAKEN.format(job.adapter))
            keep(self._shelf, job.adapter, self._base, examples, taught, replaces, {"job": job.id, "checked": False})
            self._load(job)
            said = f"'{job.adapter}' is taught and can be asked; it is checked on examples held out."
            self._ledger.tell(job.id, said, data={"ready": job.adapter})

    def _beginnings(self, job: Job, examples: int) -> list[Beginning]:
        wish = job.wish

        def passed_over(_: str) -> None:
            self._ledger.tell(job.id, "A start is broken and is passed over: `headstart starts` on the server says why.", "warn")

        found = beginnings(self._base, wish.start, _recipe(job), passed_over, examples)
        return [replace(it, recipe=replace(it.recipe, rate=(it.recipe.rate or Schedule.rate) * wish.faster)) for it in found]

    def _ticker(self, job: Job, most: int) -> Progress:
        """Tells of each step, looks whether to go on, and leaves processors to those that are being answered."""

        def tick(what: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
            self._check(job)
            told = {"what": what, "step": step, "steps": steps, "figures": {name: round(it, 4) for name, it in figures.items()}}
            self._ledger.tell(job.id, f"{what}: {step} of {steps}", data=told)
            torch.set_num_threads(max(1, most // 2) if self._engine.busy() else most)

        return tick

    def _check(self, job: Job) -> None:
        if self._stopping.is_set():
            raise _Stopping
        now = self._ledger.job(job.id)
        if now is None or now.status != "running":
            raise _Cancelled

    def _load(self, job: Job) -> None:
        try:
            self._engine.load(job.adapter)
        except HeadstartError:
            self._ledger.tell(job.id, "The engine did not load the adapter now; it is loaded when it is asked for.", "warn")

    def _conclude(self, job: Job, facts: dict[str, Any], tokens: int | None) -> None:
        self._load(job)
        told = {name: value for name, value in facts.items() if name not in ("path", "base", "job", "checked")}
        report = json.dumps(told, indent=2, ensure_ascii=False).encode()
        with self._ledger.together():
            result = self._ledger.keep(f"{job.adapter}.json", "fine-tune-results", report)
            self._ledger.tell(job.id, _sentence(told), data=told)
            self._ledger.end(job.id, "succeeded", tokens=tokens, result=result.id)

    def _fail(self, job: Job, why: str) -> None:
        with self._deciding, self._ledger.together():
            now = self._ledger.job(job.id)
            if now is not None and now.finished is None:
                self._ledger.tell(job.id, why, "error")
                self._ledger.end(job.id, "failed", error=why)


def read_examples(name: str, content: bytes) -> list[Example]:
    """Examples out of an upload, all of them or none.

    Args:
        name: the file's; what follows its last dot tells how it is read, and where nothing does it is JSONL.
        content: what it holds.

    Raises:
        ExamplesError: every bad row, or fewer than two examples.
    """
    return [row for _, row in parsed(name, rows_of(name, content), least=2)]


def rows_of(name: str, content: bytes) -> Rows:
    """Its rows, as they are asked for.

    Raises:
        ExamplesError: not text, or no file of rows by its name.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExamplesError(f"'{name}' is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    path = Path(name)
    return reader_of(path if path.suffix else Path("rows.jsonl"))(text)


def _recipe(job: Job) -> Recipe:
    return Recipe(steps=job.wish.passes, seed=job.wish.seed, prefix=job.wish.prefix)


def _sentence(facts: dict[str, Any]) -> str:
    verdict = f" {facts['advice']}" if facts.get("advice") else ""
    return f"'{facts['name']}' is taught and checked: {facts['steps']} steps from {facts['start']} in {facts['seconds']} s.{verdict}"
