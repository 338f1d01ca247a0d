"""`headstart meta-train`, from words to a run folder."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from rich.console import Console

from headstart import screen
from headstart.commands import meta_train as command
from headstart.recipes import methods
from headstart.train.spread import Alone
from tests.conftest import Told
from tests.train.toys import left_by

pytestmark = pytest.mark.usefixtures("quick")
Run = Callable[..., Told]
SMALL = ("outer.steps=4", "outer.batch=2", "evaluate.every=2", "evaluate.tasks=3", "evaluate.test=4", "net.widths=[8]")
SINE = ("meta-train", "--tasks", "sine", "--learner", "fomaml", *SMALL)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "waves.toml"
    path.write_text(
        'seed = 3\n[tasks]\nkind = "sine"\n[learner]\nkind = "fomaml"\nsteps = 2\n[net]\nwidths = [8]\n[outer]\nsteps = 4\nbatch = 2\n'
        "[evaluate]\nevery = 2\ntasks = 3\ntest = 4\nsteps = [1, 2]\n"
    )
    return path


def test_a_config_is_carried_out_and_the_result_told(headstart: Run, config: Path, home: Path) -> None:
    told = headstart("meta-train", config, "--json")
    assert (told.code, told.err) == (0, "")
    result, folder = told.json, home / "runs" / "waves"
    assert result == json.loads((folder / "result.json").read_text()) | {"run": str(folder)}
    folder.rename(folder.parent / "moved")
    assert headstart("meta-train", config, "--out", folder.parent / "moved", "--json").json["run"] == str(folder.parent / "moved")
    folder = folder.parent / "moved"
    assert (result["steps"], result["ended"], result["processes"]) == (4, "steps", 1)
    assert list(result["scores"]) == ["1 steps", "2 steps"]
    assert result["score"] == result["scores"]["2 steps"]
    assert set(result["score"]) == {"metric", "mean", "low", "high", "tasks"}
    assert (result["score"]["metric"], result["score"]["tasks"]) == ("mse", 4)
    settings = tomllib.loads((folder / "config.toml").read_text())
    assert (settings["seed"], settings["learner"]["steps"], settings["outer"]["rate"]) == (3, 2, 0.001)


def test_words_go_before_options_and_options_before_the_file(headstart: Run, config: Path, tmp_path: Path) -> None:
    words = ("meta-train", config, "outer.batch=3", "outer.steps=3", "--steps", 5, "--seed", 9, "--out", tmp_path / "run", "--json")
    assert headstart(*words).json["steps"] == 3
    settings = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (settings["seed"], settings["outer"]["batch"], settings["learner"]["steps"]) == (9, 3, 2)


def test_options_alone_are_enough(headstart: Run, home: Path) -> None:
    told = headstart(*SINE)
    assert (told.code, told.err) == (0, "")
    assert str(home / "runs" / "sine-fomaml") in told.out
    for fact in ("4 test tasks", "mse", "95 % interval", "4 meta-steps, the best in validation after", "25 parameters"):
        assert fact in told.out


def test_the_settings_are_printed_as_a_config_that_can_be_run(headstart: Run, tmp_path: Path, home: Path) -> None:
    told = headstart(*SINE, "--print-config")
    assert told.code == 0
    assert not (home / "runs").exists()
    assert "# Step size inside a task" in told.out
    (tmp_path / "printed.toml").write_text(told.out)
    assert headstart("meta-train", tmp_path / "printed.toml", "--json").json["score"] == headstart(*SINE, "--json").json["score"]


def stopping(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Ctrl-C, at a step."""

    @contextmanager
    def training(whole: int) -> Iterator[Callable[[int, str], None]]:
        def show(done: int, remark: str) -> None:
            if done == step:
                raise KeyboardInterrupt

        yield show

    monkeypatch.setattr(screen, "training", training)


def test_ctrl_c_says_what_was_kept_and_the_same_command_goes_on(headstart: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert headstart(*SINE, "--out", tmp_path / "whole").code == 0
    with monkeypatch.context() as patch:
        stopping(patch, 3)
        told = headstart(*SINE, "--out", tmp_path / "run")
    kept = f"stopped: meta-step 3 of 4 is kept in '{tmp_path / 'run'}'; the same command goes on from there.\n"
    assert told == Told(130, "", kept)
    assert headstart(*SINE, "--out", tmp_path / "run").code == 0
    assert left_by(tmp_path / "run") == left_by(tmp_path / "whole")


def test_a_run_of_other_settings_is_refused_by_name_until_fresh(headstart: Run, tmp_path: Path) -> None:
    assert headstart(*SINE, "--out", tmp_path / "run").code == 0
    other = (*SINE, "--out", tmp_path / "run", "learner.rate=0.5", "--seed", 1)
    told = headstart(*other)
    assert (told.code, told.out) == (1, "")
    assert "learner.rate (there 0.01, here 0.5), seed (there 0, here 1)" in told.err
    assert "--fresh" in told.err
    assert headstart(*other, "--fresh").code == 0
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["learner"]["rate"] == 0.5


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), "tasks.kind is missing"),
        (("--tasks", "sine", "--learner", "mamll"), "Nearest: maml"),
        (("--tasks", "nowhere", "--learner", "maml"), "'nowhere', which is neither a folder nor one of sine, omniglot, folder"),
        (("absent.toml",), "There is no file 'absent.toml'"),
        (("one.toml", "two.toml"), "One config file at most is wanted, got one.toml, two.toml"),
        (("--tasks", "sine", "--learner", "maml", "outer.stesp=3"), "outer.stesp is no key here. Nearest: steps"),
        (("--tasks", "sine", "--learner", "maml", "outer.steps=soon"), "outer.steps is 'soon'; a whole number is wanted"),
        (("--tasks", "sine", "--learner", "maml", "=3"), "'=3' sets nothing"),
        (("--tasks", "sine", "--learner", "maml", "--ways", "5"), "tasks.ways is no key here"),
        (("--tasks", "sine", "--learner", "prototypes", "outer.steps=1"), "tells classes apart and the tasks ask for values"),
    ],
)
def test_a_user_s_error_is_said_without_a_traceback(headstart: Run, home: Path, words: tuple[str, ...], wanted: str) -> None:
    told = headstart("meta-train", *words)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("error: ")
    assert wanted in told.err
    assert "Traceback" not in told.err


def test_a_number_that_is_none_is_said_with_step_and_task(headstart: Run, tmp_path: Path) -> None:
    told = headstart(*SINE, "--out", tmp_path / "run", "learner.rate=1e30", "learner.steps=3")
    assert told.code == 1
    assert "The loss of training task 0 is no number at meta-step 1" in told.err
    assert (tmp_path / "run" / "checkpoint" / "state.json").is_file()


def test_help_names_the_ways_to_say_it(headstart: Run) -> None:
    told = headstart("meta-train", "--help")
    assert told.code == 0
    for word in ("KEY=VALUE", "--tasks", "--learner", "--ways", "--shots", "--data", "--steps", "--seed", "--out", "--fresh", "--json"):
        assert word in told.out


TINY: dict[str, tuple[str, ...]] = {
    "mann": ("learner.hidden=6", "learner.places=4", "learner.width=3", "learner.heads=1"),
    "snail": ("learner.filters=3", "learner.attention=[[3, 3], [3, 3]]"),
    "matching": ("learner.context=1",),
    "imaml": ("learner.steps=2", "learner.solves=1"),
}
VALUES = ("maml", "fomaml", "anil", "meta-sgd", "lslr", "reptile", "imaml", "joint", "mann", "snail", "neighbour")


@pytest.mark.parametrize("kind", VALUES)
def test_every_learner_of_values_runs_on_sine(headstart: Run, tmp_path: Path, kind: str) -> None:
    words = [*SMALL, *TINY.get(kind, ())]
    if kind in ("mann", "neighbour"):
        words.remove("net.widths=[8]")
    told = headstart("meta-train", "--tasks", "sine", "--learner", kind, "--out", tmp_path / "run", *words, "--json")
    assert (told.code, told.err) == (0, "")
    assert told.json["steps"] == 4
    assert told.json["score"]["mean"] > 0


@pytest.mark.parametrize("kind", [name for name, kind in methods.KINDS.items() if not kind.whole])
def test_every_learner_runs_on_a_folder_of_images(headstart: Run, image_folder: Path, tmp_path: Path, kind: str) -> None:
    shown = ("tasks.size=16", "tasks.mode=L", "tasks.queries=2", "--ways", 2, "--shots", 1)
    words = [*SMALL[:-1], "outer.steps=2", *TINY.get(kind, ())]
    if kind not in ("mann", "neighbour"):
        words.append("net.filters=4")
    told = headstart("meta-train", "--tasks", image_folder, "--learner", kind, *shown, "--out", tmp_path / "run", *words, "--json")
    assert (told.code, told.err) == (0, "")
    assert (told.json["score"]["metric"], told.json["steps"]) == ("accuracy", 2)
    assert 0 <= told.json["score"]["mean"] <= 1


COMMAND = [sys.executable, "-m", "headstart", *SINE, "outer.steps=300", "evaluate.every=20", "dtype=float64"]
ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path, *launcher: str) -> subprocess.Popen[str]:
    command = [*launcher, *COMMAND[1:]] if launcher else COMMAND
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, "--out", str(folder)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and what was said on standard error."""
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def steps_done(folder: Path) -> int:
    path = folder / "checkpoint" / "state.json"
    try:
        return int(json.loads(path.read_text())["step"])
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_the_command_killed_and_stopped_again_and_again_leaves_what_an_undisturbed_one_leaves(tmp_path: Path, home: Path) -> None:
    assert ended(start(tmp_path / "whole")) == (0, "")
    folder, rng, codes = tmp_path / "run", random.Random(0), []
    for how in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        process, before = start(folder), steps_done(folder)
        while process.poll() is None and steps_done(folder) <= before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(how)
        code, err = ended(process)
        codes.append(code)
        assert "Traceback" not in err
    assert codes == [-9, 130, -9]
    assert ended(start(folder)) == (0, "")
    assert left_by(folder) == left_by(tmp_path / "whole")


@pytest.mark.slow
def test_the_launcher_spreads_the_command_over_processes(tmp_path: Path, home: Path) -> None:
    assert ended(start(tmp_path / "alone")) == (0, "")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    code, err = ended(start(tmp_path / "spread", *launcher))
    assert code == 0, err
    one, two = (left_by(tmp_path / name) for name in ("alone", "spread"))
    assert one["tensors"].keys() == two["tensors"].keys()
    for name, values in one["tensors"].items():
        assert torch.allclose(torch.tensor(values), torch.tensor(two["tensors"][name]), rtol=0, atol=1e-9), name
    assert two["result"]["score"]["mean"] == pytest.approx(one["result"]["score"]["mean"], abs=1e-9)


def test_the_bar_tells_how_far_it_is_how_long_is_left_and_how_well_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    monkeypatch.setattr(screen, "ERR", Console(file=told, force_terminal=True, width=120))
    with screen.training(4) as show:
        show(2, "loss 0.5, validation accuracy 0.700")
    assert all(words in told.getvalue() for words in ("2/4", "left", "loss 0.5, validation accuracy 0.700"))


def test_of_several_processes_the_first_alone_draws_a_bar(headstart: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def second(_: torch.device) -> Iterator[Alone]:
        yield Alone(rank=1)

    def never(_: int) -> None:
        pytest.fail("a second bar")

    monkeypatch.setattr(command, "join", second)
    monkeypatch.setattr(command, "carry_out", lambda *_, **__: {})
    monkeypatch.setattr(screen, "training", never)
    assert headstart(*SINE, "--out", tmp_path / "run") == Told(0, "", "")
