"""`headstart meta-train` with `begin`: where a run may begin, and where it may not."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headstart.adapters.keep import hash_of_weights
from headstart.adapters.starts import Starts
from headstart.commands import beginning
from headstart.commands import meta_train as command
from headstart.errors import SettingsError
from headstart.recipes.assemble import settle
from tests.commands.test_meta_train import SINE
from tests.commands.test_meta_train import config as config
from tests.conftest import Told

pytestmark = pytest.mark.usefixtures("quick")
Run = Callable[..., Told]


def test_a_run_begins_where_another_ended_and_what_that_one_lacks_is_fresh(
    headstart: Run, config: Path, home: Path, tmp_path: Path
) -> None:
    first = headstart("meta-train", config, "--json")
    assert first.code == 0, first.err
    unmoved = headstart(
        *SINE, "begin=waves", "outer.steps=0", "learner.kind=maml", "evaluate.steps=[2]", "--out", tmp_path / "on", "--json"
    )
    assert unmoved.code == 0, unmoved.err
    assert unmoved.json["score"] == first.json["score"], "no meta-step: judged on the weights that were learned there"
    fresh = headstart(*SINE, "outer.steps=0", "evaluate.steps=[2]", "--out", tmp_path / "fresh", "--json")
    assert fresh.json["score"] != first.json["score"]


def test_a_run_does_not_begin_from_itself(headstart: Run, config: Path, home: Path, tmp_path: Path) -> None:
    assert headstart("meta-train", config).code == 0
    left = {path: path.read_bytes() for path in (home / "runs" / "waves").rglob("*") if path.is_file()}
    told = headstart("meta-train", config, "begin=waves", "--fresh")
    assert (told.code, "is there itself, so that it would begin elsewhere each time: give another --out" in told.err) == (1, True)
    assert {path: path.read_bytes() for path in left} == left
    on = headstart("meta-train", config, "begin=waves", "--out", tmp_path / "on")
    assert (on.code, on.err) == (0, f"begins from '{home / 'runs' / 'waves'}'\n")


def test_a_run_goes_on_though_what_it_was_begun_with_is_gone(headstart: Run, config: Path, home: Path) -> None:
    assert headstart("meta-train", config).code == 0
    words = (*SINE, "begin=waves", "--out", home / "runs" / "on", "--json")
    whole = headstart(*words)
    (home / "runs" / "waves").rename(home / "gone")
    (home / "runs" / "on" / "result.json").unlink()
    on = headstart(*words)
    assert (on.code, on.err, on.json["scores"]) == (0, "", whole.json["scores"])
    assert "holds no run" in headstart(*words, "--fresh").err


def test_a_user_s_own_folder_called_checkpoint_is_no_run(headstart: Run, config: Path, home: Path, tmp_path: Path) -> None:
    assert headstart("meta-train", config).code == 0
    (tmp_path / "waves" / "checkpoint").mkdir(parents=True)
    with chdir(tmp_path):
        told = headstart(*SINE, "begin=waves", "--out", "on")
    assert (told.code, told.err) == (0, f"begins from '{home / 'runs' / 'waves'}'\n")


def test_a_start_is_not_begun_from_by_what_takes_its_name(headstart: Run, base_folder: Path, home: Path, tmp_path: Path) -> None:
    small = ("tasks.shots=1", "tasks.queries=1", "outer.steps=1", "outer.batch=1", "evaluate.tasks=1", "evaluate.test=1", "net.rank=2")
    words = ("meta-train", "tasks.kind=apis", "learner.kind=in-context", f"net.base={json.dumps(str(base_folder))}", *small)
    assert headstart(*words, "--out", tmp_path / "first").code == 0
    told = headstart(*words, "begin=first", "--out", tmp_path / "there" / "first")
    assert (told.code, "leaves that name itself" in told.err) == (1, True)
    on = headstart(*words, "begin=first", "--out", tmp_path / "second")
    assert f"begins from '{home / 'starts' / 'first'}'" in on.err
    weights = Starts().read("first", beginning.key_of(command.open_base(str(base_folder)))).weights
    assert json.loads((tmp_path / "second" / "base.json").read_text())["begun with"] == hash_of_weights(weights)


def test_a_run_cannot_begin_from_nothing_or_from_another_net(headstart: Run, config: Path, home: Path, tmp_path: Path) -> None:
    assert "holds no run" in headstart(*SINE, "begin=nowhere").err
    assert headstart("meta-train", config).code == 0
    told = headstart(*SINE, "begin=waves", "net.widths=[9]", "--out", tmp_path / "wide")
    assert "begin: net." in told.err
    assert "the nets must be alike" in told.err


def test_a_run_does_not_begin_from_one_that_has_seen_its_test_classes(headstart: Run, home: Path, image_folder: Path) -> None:
    settled = settle({"tasks": {"kind": "omniglot", "split": "vinyals"}, "learner": {"kind": "maml"}})
    with pytest.raises(SettingsError, match="seen"):
        beginning.begun(_trained_on(home, "random"), settled, None)


def _trained_on(home: Path, split: str) -> Path:
    """What is left of a run that was trained on another split."""
    folder = home / "runs" / "former"
    (folder / "checkpoint").mkdir(parents=True)
    save_file({"meta.net.w": torch.zeros(1)}, folder / "checkpoint" / "tensors.safetensors")
    (folder / "config.toml").write_text(f'[tasks]\nkind = "omniglot"\nsplit = "{split}"\n')
    return folder
