import json
import multiprocessing
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart import disk
from headstart.errors import Diverged, RunRefused, SettingsError, Stopped, StorageError, TasksError
from headstart.train import job as module
from headstart.train.checkpoint import FACTS, TENSORS
from headstart.train.job import carry_out
from headstart.train.meta import State, Watch
from headstart.train.run import CHECKPOINT, CURVE, LOG, RESULT, SPENT, learned_in
from headstart.train.same import CONFIG
from headstart.train.score import score
from headstart.train.spread import Alone
from tests.train import toys
from tests.train.test_meta import Broken
from tests.train.toys import CONFIG as TOML
from tests.train.toys import EXACT, Waves, job, left_by

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True, scope="module")
def unsynced() -> Iterator[None]:
    """A kill loses nothing that the kernel has: waiting for the disk would only make these tests slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "_sync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def unpainted(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture is enough."""
    monkeypatch.setattr(module, "draw", lambda lines, path: path.touch())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of 60 steps leaves that nobody disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    carry_out(job(60), folder, TOML)
    return folder


def test_a_run_leaves_its_settings_log_checkpoint_result_and_picture(whole: Path) -> None:
    assert {p.name for p in whole.iterdir()} - {".lock"} == {CONFIG, LOG, CHECKPOINT, RESULT, CURVE}
    lines = [json.loads(line) for line in (whole / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(5, 61, 5))
    assert {"step", "loss", "validation", "best_step", "time"} == set(lines[0])
    assert (whole / CURVE).read_bytes().startswith(b"\x89PNG")


def test_numbers_that_leave_a_process_nothing_to_do_are_refused_before_it_begins(tmp_path: Path) -> None:
    it = job(60)
    with pytest.raises(SettingsError, match=r"evaluate\.test is 2; 3 processes share it"):
        carry_out(replace(it, watch=replace(it.watch, test=2)), tmp_path / "run", TOML, team=Alone(0, 3))
    assert not (tmp_path / "run").exists()


def test_the_result_is_the_test_score_of_what_did_best_in_validation(tmp_path: Path) -> None:
    it, heard = replace(job(40), outer=replace(job().outer, steps=40, rate=1.0, batch=1)), list[State]()
    result = carry_out(it, tmp_path / "run", TOML, tell=heard.append)
    best = min((s for s in heard if s.judged == s.step), key=lambda s: s.score.mean if s.score else 0)
    assert (result["best_step"], result["steps"], result["ended"]) == (best.step, 40, "steps")
    assert best.step < 40, "this test should see a run whose best is not its last"
    for steps in (1, 3):
        wanted = score(Waves(steps=steps), best.meta, it.held, "test", 11)
        assert result["scores"][str(steps)] == asdict(wanted)
    assert result["score"] == result["scores"]["3"]
    assert result["validation"] == asdict(score(Waves(steps=3), best.meta, it.held, "validation", 9))
    assert result["parameters"] == 3
    assert json.loads((tmp_path / "run" / RESULT).read_text()) | {"run": str(tmp_path / "run")} == result


def test_a_trial_that_diverges_tells_so_beside_the_others_and_the_last_one_must_not(tmp_path: Path) -> None:
    it = job(2)
    wild = {"wild": Waves(steps=3000, rate=9.0), "3": it.trials["3"]}
    told = carry_out(replace(it, trials=wild), tmp_path / "run", TOML)["scores"]
    assert "test task" in told["wild"]["error"]
    assert (told["wild"]["lost"], told["wild"]["of"]) == (11, 11)
    assert told["3"]["tasks"] == 11
    with pytest.raises(Diverged, match="test task"):
        replace(it, trials={"wild": wild["wild"]}).examine(it.begin().meta)


def test_a_run_that_has_ended_is_not_run_again(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in whole.rglob("*") if p.is_file() and p.name in (RESULT, TENSORS, CURVE)}
    assert carry_out(job(60), whole, TOML)["steps"] == 60
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before


def test_a_run_that_lost_its_result_scores_again(whole: Path, tmp_path: Path) -> None:
    carry_out(job(60), tmp_path / "run", TOML)
    (tmp_path / "run" / RESULT).unlink()
    carry_out(job(60), tmp_path / "run", TOML)
    assert left_by(tmp_path / "run") == left_by(whole)


def live(life: float, *words: Any) -> None:
    """Train, and die without a word after `life` seconds by this process's own clock; 0: not at all.

    Its own, as a parent that is kept waiting would come too late to kill it: sixty steps of 5 ms outlive any two lives of 0.15 s.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, life)
    toys.main(*words)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_again_and_again_leaves_what_an_undisturbed_one_leaves(whole: Path, tmp_path: Path, seed: int) -> None:
    rng, folder, kills, ended = random.Random(seed), tmp_path / "run", 0, False
    while not ended:
        life = rng.uniform(0.02, 0.15) if kills < 12 else 0.0
        process = FORK.Process(target=live, args=(life, str(folder), 60, 0.005))
        process.start()
        process.join()
        ended = process.exitcode == 0
        kills += not ended
        assert process.exitcode in (0, -signal.SIGALRM)
    assert kills >= 2
    assert left_by(folder) == left_by(whole)
    assert {p.name for p in folder.iterdir()} - {".lock"} == {CONFIG, LOG, CHECKPOINT, RESULT, CURVE}


def stop_after(step: int) -> Any:
    def tell(state: State) -> None:
        if state.step == step:
            raise KeyboardInterrupt

    return tell


@pytest.mark.parametrize("step", [3, 5, 19])
def test_ctrl_c_keeps_the_last_step_and_says_so_and_the_run_goes_on_from_it(whole: Path, tmp_path: Path, step: int) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped, match=f"meta-step {step} of 60 is kept in '.*run'; the same command goes on"):
        carry_out(job(60), folder, TOML, tell=stop_after(step))
    assert json.loads((folder / CHECKPOINT / FACTS).read_text())["step"] == step
    heard: list[State] = []
    carry_out(job(60), folder, TOML, tell=heard.append)
    assert heard[0].step == step + 1
    assert left_by(folder) == left_by(whole)


def test_ctrl_c_in_the_test_says_the_same(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_result", interrupted)
        with pytest.raises(Stopped, match=r"meta-step 60 of 60 is kept in '.*run'; the same command goes on"):
            carry_out(job(60), tmp_path / "run", TOML)
    carry_out(job(60), tmp_path / "run", TOML)
    assert left_by(tmp_path / "run") == left_by(whole)


def test_the_seconds_of_a_resumed_run_are_those_of_all_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, folder = [0.0], tmp_path / "run"
    frozen = {"perf_counter": lambda: clock[0], "monotonic": lambda: 0.0, "time": lambda: 0.0}
    monkeypatch.setattr(module, "time", type("Clock", (), frozen))

    def ten_seconds_a_step(state: State) -> None:
        clock[0] += 10
        stop_after(7)(state) if clock[0] < 100 else None

    with pytest.raises(Stopped):
        carry_out(job(20), folder, TOML, tell=ten_seconds_a_step)
    assert json.loads((folder / CHECKPOINT / SPENT).read_text()) == 70
    clock[0] = 5000
    assert carry_out(job(20), folder, TOML, tell=ten_seconds_a_step)["seconds"] == 200
    assert carry_out(job(20), folder, TOML)["seconds"] == 200


def test_a_checkpoint_that_knows_no_seconds_counts_from_here_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        carry_out(job(20), tmp_path, TOML, tell=stop_after(7))
    spent = tmp_path / CHECKPOINT / SPENT
    spent.write_text("[")
    with pytest.raises(RunRefused, match="remove it"):
        carry_out(job(20), tmp_path, TOML)
    spent.unlink()
    assert carry_out(job(20), tmp_path, TOML)["steps"] == 20


def test_a_number_that_is_none_keeps_the_last_sound_step(tmp_path: Path) -> None:
    it = replace(job(20), tasks=Broken(7 * 6 + 2))
    for _ in range(2):
        with pytest.raises(Diverged, match=r"training task 44 is no number at meta-step 8 .*kept in '.*run'"):
            carry_out(it, tmp_path / "run", TOML)
        assert json.loads((tmp_path / "run" / CHECKPOINT / FACTS).read_text())["step"] == 7
        assert [json.loads(line)["step"] for line in (tmp_path / "run" / LOG).read_text().splitlines()] == [5]


def test_tasks_that_end_in_an_error_keep_the_last_step(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Ends:
        def draw(self, split: str, first: int, count: int) -> Any:
            if first == 7 * 6:
                raise TasksError("Lost.")
            return job().tasks.draw(split, first, count)

    with pytest.raises(TasksError, match=r"Lost\. Meta-step 7 is kept in '.*run'"):
        carry_out(replace(job(20), tasks=Ends()), tmp_path / "run", TOML)
    assert json.loads((tmp_path / "run" / CHECKPOINT / FACTS).read_text())["step"] == 7


def test_states_are_kept_between_validations_once_it_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, kept = [0.0], []
    monkeypatch.setattr(
        module, "time", type("Clock", (), {"monotonic": lambda: clock[0], "perf_counter": time.perf_counter, "time": time.time})
    )
    monkeypatch.setattr(module.Run, "keep", lambda self, state, spent: kept.append(state.step))
    carry_out(job(20, every=10), tmp_path / "run", TOML, tell=lambda _: clock.__setitem__(0, clock[0] + 1), kept=2.5)
    assert kept == [3, 6, 9, 10, 13, 16, 19, 20]


def test_a_disk_that_refuses_is_said_and_the_former_checkpoint_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        carry_out(job(20), folder, TOML, tell=stop_after(7))

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("headstart.disk.os.rename", refuse)
        with pytest.raises(StorageError, match="disk is full"):
            carry_out(job(20), folder, TOML)
    assert json.loads((folder / CHECKPOINT / FACTS).read_text())["step"] == 7
    assert carry_out(job(20), folder, TOML)["steps"] == 20


def test_another_learner_s_checkpoint_is_refused(tmp_path: Path) -> None:
    carry_out(job(5), tmp_path / "run", TOML)
    (tmp_path / "run" / RESULT).unlink()
    with pytest.raises(RunRefused, match="moments second"):
        carry_out(job(5, optimiser="sgd"), tmp_path / "run", TOML)


def test_fresh_starts_over(whole: Path, tmp_path: Path) -> None:
    carry_out(replace(job(60), seed=1), tmp_path / "run", "seed = 1\n")
    assert left_by(tmp_path / "run")["tensors"] != left_by(whole)["tensors"]
    with pytest.raises(RunRefused, match="seed"):
        carry_out(job(60), tmp_path / "run", TOML)
    carry_out(job(60), tmp_path / "run", TOML, fresh=True)
    assert left_by(tmp_path / "run") == left_by(whole)


def test_what_cannot_begin_leaves_the_run_that_was_there(whole: Path, tmp_path: Path) -> None:
    carry_out(job(5), tmp_path / "run", TOML)
    left = left_by(tmp_path / "run")
    with pytest.raises(SettingsError, match="begin: none of its weights"):
        carry_out(replace(job(5), given={"other": torch.zeros(1)}), tmp_path / "run", TOML, fresh=True)
    assert left_by(tmp_path / "run") == left


def test_early_stopping_is_told_in_the_result(tmp_path: Path) -> None:
    watch = Watch(every=2, tasks=9, test=3, patience=1)
    result = carry_out(replace(job(200, batch=1), watch=watch), tmp_path / "run", TOML)
    assert (result["ended"], result["steps"]) == ("patience", result["best_step"] + 2)


def test_no_steps_score_the_first_weights(tmp_path: Path) -> None:
    it = job(0)
    result = carry_out(it, tmp_path / "run", TOML)
    assert (result["validation"], result["best_step"], result["steps"]) == (None, None, 0)
    assert result["scores"]["1"] == asdict(score(Waves(), Waves().begin(0), it.held, "test", 11))
    left = left_by(tmp_path / "run")
    assert carry_out(it, tmp_path / "run", TOML) == result
    assert left_by(tmp_path / "run") == left
    assert learned_in(tmp_path / "run").keys() == it.begin().meta.keys()


def test_weights_and_tasks_are_brought_to_the_precision_asked_for(tmp_path: Path) -> None:
    heard: list[State] = []
    carry_out(replace(job(2), place=replace(EXACT, dtype=torch.float32)), tmp_path / "run", TOML, tell=heard.append)
    assert {w.dtype for w in heard[-1].meta.values()} == {torch.float32}
