"""A run from its first step, or from wherever it was stopped, to its score on test tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

from headstart.episode import Tasks
from headstart.errors import Diverged, HeadstartError, SettingsError, Stopped, StorageError
from headstart.learners.learner import Learner, Meta
from headstart.learners.parts import halves
from headstart.settings import refuse
from headstart.train.ahead import drawn_ahead
from headstart.train.curve import draw
from headstart.train.filed import Filed
from headstart.train.meta import State, Watch, begin, ended, meta_train
from headstart.train.outer import Outer
from headstart.train.place import HERE, Place
from headstart.train.run import CURVE, Run, open_run
from headstart.train.score import Score, score
from headstart.train.spread import ALONE, Team

Told = Callable[[State], None]
"""Hears every state."""
KEPT = 30.0
"""Seconds after which a state is kept though no validation is due."""


@final
@dataclass(frozen=True)
class Job:
    """All that a run is made of."""

    learner: Learner
    """As it is trained."""
    trials: Mapping[str, Learner]
    """The same, as it is judged: name -> learner. The last one is validation's."""
    tasks: Tasks
    """Where training tasks come from."""
    held: Tasks
    """Where validation and test tasks come from."""
    outer: Outer
    watch: Watch
    seed: int = 0
    """Of the first weights."""
    place: Place = HERE
    """Where it computes."""
    workers: int = 0
    """Processes that draw training tasks ahead; 0: they are drawn when they are wanted."""
    given: Meta = field(default_factory=dict)
    """Weights to begin from in place of fresh ones, as far as they go."""
    read: Filed = field(default_factory=Filed)
    """Which tasks lie in files, and what was left out of them."""

    def begin(self) -> State:
        """Before the first step.

        Raises:
            SettingsError: the given weights are another learner's or another net's.
        """
        fresh = self.learner.begin(self.seed)
        given = {name: w for name, w in self.given.items() if name in fresh}
        if self.given and not given:
            raise SettingsError(f"begin: none of its weights ({', '.join(list(self.given)[:3])}, …) is one of this learner's.")
        refuse(
            f"begin: {name} is {tuple(w.shape)} there and {tuple(fresh[name].shape)} here: the nets must be alike."
            for name, w in given.items()
            if w.shape != fresh[name].shape
        )
        return begin(self.place.weights(fresh | given), self.outer)

    def judge(self, meta: Meta, team: Team = ALONE) -> Score:
        """Validation."""
        return self._score(list(self.trials.values())[-1], meta, "validation", self.watch.tasks, team)

    def examine(self, meta: Meta, team: Team = ALONE) -> dict[str, dict[str, Any]]:
        """The test: one score for each trial, as JSON has it; a trial other than the last may diverge, and then tells that.

        More inner steps than were trained are no promise: a net that learned to take one may fly apart at ten.

        Raises:
            Diverged: the last trial ends in no number for some task.
        """
        *others, main = self.trials
        return {name: self._tried(name, meta, team) for name in others} | {main: asdict(self._test(main, meta, team))}

    def _tried(self, name: str, meta: Meta, team: Team) -> dict[str, Any]:
        try:
            return asdict(self._test(name, meta, team))
        except Diverged as error:
            return {"error": str(error), "lost": error.lost, "of": error.of}

    def _test(self, name: str, meta: Meta, team: Team) -> Score:
        return self._score(self.trials[name], meta, "test", self.watch.test, team)

    def _score(self, learner: Learner, meta: Meta, split: str, count: int, team: Team) -> Score:
        return score(learner, meta, self.place.tasks(self.held), split, count, chunk=self.watch.chunk, team=team)


def carry_out(
    job: Job,
    folder: Path,
    config: str,
    fresh: bool = False,
    team: Team = ALONE,
    tell: Told = lambda _: None,
    kept: float = KEPT,
    base: Mapping[str, str] | None = None,
    absent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a job in its folder, and go on where an earlier call was stopped.

    Args:
        job: what to run.
        folder: see `headstart.train.run`.
        config: the job's settings as TOML; another job's folder is refused by them.
        fresh: start over.
        team: the processes that share the work.
        tell: hears every state.
        kept: seconds after which a state is kept though no validation is due; it changes no result.
        base: what the weights bend, see `open_run`; another base's folder is refused by it.
        absent: see `open_run`.

    Returns:
        What `result.json` says, and as "run" where it lies.

    Raises:
        SettingsError: fewer tasks than processes.
        RunRefused: the folder holds another run, a damaged one, or one that is at work.
        Diverged: a number is none any more; the last sound state is kept.
        Stopped: the user stopped it; the last state is kept.
        StorageError: the disk refuses; what was kept last is still there.
    """
    refuse(_too_few(job, team))
    # Before anything of a former run is forgotten: what cannot begin destroys nothing.
    first = job.begin()
    with open_run(folder, config, fresh, team, base, absent, job.read.sides) as run:
        state = run.state(first)
        former = run.result()
        if former is not None and ended(state, job.outer, job.watch):
            return former | {"run": str(folder)}
        # As if the run had been at work all along, whatever it waited for in between.
        since = time.perf_counter() - run.spent()
        state = _train(job, run, state, tell, kept, since)
        try:
            told = _result(job, state, team)
        except KeyboardInterrupt as stop:
            raise stopped(state.step, job.outer, folder) from stop
        result = told | {"seconds": round(time.perf_counter() - since, 3), "processes": team.size}
        # The result last: where it stands, nothing is left to do, whenever the run was killed.
        if team.rank == 0:
            draw(run.lines(), folder / CURVE)
        run.finish(result)
        # Not kept: the folder may be moved.
        return result | {"run": str(folder)}


def stopped(step: int, outer: Outer, folder: Path) -> Stopped:
    """What to say of a run that the user stopped."""
    return Stopped(f"meta-step {step} of {outer.steps} is kept in '{folder}'; the same command goes on from there.")


def _too_few(job: Job, team: Team) -> list[str]:
    """Of what processes share, numbers that leave one of them nothing to do."""
    shared = {"outer.batch": job.outer.batch, "evaluate.tasks": job.watch.tasks, "evaluate.test": job.watch.test}
    return [f"{name} is {count}; {team.size} processes share it, and want one each." for name, count in shared.items() if count < team.size]


def _train(job: Job, run: Run, state: State, tell: Told, kept: float, since: float) -> State:
    """To the end; whatever stops it, the last state is kept."""
    due = time.monotonic() + kept
    try:
        with drawn_ahead(job.tasks, job.workers, job.outer.batch) as drawn:
            for reached in _states(job, job.place.tasks(drawn), run.team, state):
                state = reached
                tell(state)
                if state.judged == state.step or time.monotonic() > due:
                    _keep(run, state, since)
                    due = time.monotonic() + kept
    except KeyboardInterrupt as stop:
        _keep(run, state, since)
        raise stopped(state.step, job.outer, run.folder) from stop
    except StorageError:
        raise
    except HeadstartError as error:
        if not state.step and not isinstance(error, Diverged):
            # Nothing was learned, and a checkpoint would hold up the mended command.
            raise
        _keep(run, state, since)
        raise type(error)(f"{error} Meta-step {state.step} is kept in '{run.folder}'.") from error
    if not state.step:
        # Of a run without steps too: a result beside no checkpoint would be taken for what a kill has left.
        _keep(run, state, since)
    return state


def _states(job: Job, tasks: Tasks, team: Team, state: State) -> Iterator[State]:
    return meta_train(job.learner, tasks, job.outer, job.watch, lambda meta: job.judge(meta, team), state, team)


def _keep(run: Run, state: State, since: float) -> None:
    if state.score is not None and state.judged == state.step:
        best = state.best.step if state.best else None
        run.note(
            {"step": state.step, "loss": state.loss, "validation": asdict(state.score), "best_step": best, "time": round(time.time(), 3)}
        )
    run.keep(state, time.perf_counter() - since)


def _result(job: Job, state: State, team: Team) -> dict[str, Any]:
    meta = state.best.meta if state.best else state.meta
    scores = job.examine(meta, team)
    return {
        "score": list(scores.values())[-1],
        "scores": scores,
        "validation": asdict(state.best.score) if state.best else None,
        "best_step": state.best.step if state.best else None,
        "steps": state.step,
        "ended": ended(state, job.outer, job.watch),
        "parameters": sum(w.numel() for w in halves(state.meta)[0].values()),
        "versions": {package: version(package) for package in ("headstart", "torch")},
    }
