from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart import checkup
from headstart.adapters.store import Shelf
from headstart.disk import PENDING, new_folder
from headstart.plan import installed, machine
from headstart.plan.cards import Place, gpu
from headstart.plan.clock import Speed
from headstart.plan.installed import Build, default_base, device

BARE = Build("2.13.0", None, None, None, None, amd=False, metal=False)


def an_adapter(home: Path, name: str) -> Path:
    weights = {f"model.layers.0.self_attn.q_proj.lora_{side}": torch.full(shape, 0.1) for side, shape in (("A", (2, 8)), ("B", (8, 2)))}
    key = {"name": "it", "content": "0", "tokenizer": "0", "template": "0"}
    return Shelf(home / "adapters").write(name, weights, {"base": key}, 1)


def findings(told: object) -> dict[str, dict[str, str]]:
    return {it["about"]: it for it in told.json["findings"]}  # type: ignore[attr-defined]


def test_nothing_is_wrong_with_a_fresh_home(headstart: Callable) -> None:
    told = headstart("doctor", "--no-probe", "--offline", "--json")
    found = findings(told)
    assert told.code == (1 if told.json["problems"] else 0)
    assert {"Python", "packages", "GPU", "threads", "memory", "disk", "shelf", "leftovers", "hub"} <= set(found)
    assert found["packages"]["level"] == found["shelf"]["level"] == found["leftovers"]["level"] == "ok"
    assert "not asked" in found["hub"]["what"]
    assert all(it["mend"] and it["why"] for it in told.json["findings"] if it["level"] != "ok")


def test_a_broken_adapter_is_named_with_the_mend(headstart: Callable, home: Path) -> None:
    an_adapter(home, "sound")
    (an_adapter(home, "cut") / "adapter_model.safetensors").write_bytes(b"\0" * 20)
    burst = an_adapter(home, "burst") / "adapter_model.safetensors"
    save_file({name: torch.full_like(w, float("nan")) for name, w in load_file(burst).items()}, burst)
    told = headstart("doctor", "--no-probe", "--offline", "--json")
    found = findings(told)
    assert told.code == 1
    assert found["adapter 'cut'"]["level"] == "problem"
    assert "remove cut" in found["adapter 'cut'"]["mend"]
    assert "no numbers" in found["adapter 'burst'"]["what"]
    assert found["shelf"]["what"].startswith("1 sound")


def test_leftovers_are_seen_before_they_are_swept(headstart: Callable, home: Path) -> None:
    dead = home / "starts" / f"{PENDING}0a-it"
    dead.mkdir(parents=True)
    (dead / "part").write_bytes(b"x" * 10)
    with new_folder(home / "adapters" / "it") as mine:
        found = findings(headstart("doctor", "--no-probe", "--offline", "--json"))["leftovers"]
        assert (found["level"], found["what"].startswith("2 half-written")) == ("note", True)
        assert (mine.exists(), dead.exists()) == (True, False), "who writes is not disturbed"


def test_people_get_the_mend(headstart: Callable, home: Path) -> None:
    (an_adapter(home, "cut") / "adapter_config.json").write_text("{")
    told = headstart("doctor", "--no-probe", "--offline")
    assert told.code == 1
    assert "mend: headstart adapters remove cut" in told.out


@pytest.mark.parametrize(
    ("build", "level", "mend"),
    [
        (BARE, "ok", ""),
        (Build("2.13.0+cpu", None, None, None, "RTX 4090, 550", amd=False, metal=False), "problem", "whl/cu"),
        (Build("2.13.0+cu128", "12.8", None, None, "RTX 4090, 470", amd=False, metal=False), "problem", "driver"),
        (Build("2.13.0+cu128", "12.8", None, "RTX 4090", "RTX 4090, 550", amd=False, metal=False), "ok", ""),
        (Build("2.13.0", None, None, None, None, amd=True, metal=False), "problem", "whl/rocm"),
        (Build("2.13.0+rocm6.4", None, "6.4", None, None, amd=True, metal=False), "problem", "HSA_OVERRIDE"),
        (Build("2.13.0", None, None, None, None, amd=False, metal=True), "note", ""),
    ],
)
def test_a_torch_that_does_not_see_the_card(build: Build, level: str, mend: str) -> None:
    found = device(build)
    assert found.level == level
    assert mend in found.mend


def test_a_missing_extra_is_told_with_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "requires", lambda _: ['nosuch>=1; extra == "tasks"', "torch>=99", 'nosuch; extra == "dev"'])
    found = {it.about: it for it in installed.packages()}
    assert found["packages"].level == "problem"
    assert "torch is" in found["packages"].what
    assert found["extra 'tasks'"].level == "note"
    assert "pip install 'headstart[tasks]'" in found["extra 'tasks'"].mend
    assert found["extra 'images'"].level == "ok"


def test_a_default_base_that_is_not_installed_is_a_note() -> None:
    assert default_base(True, "").level == "ok"
    assert (default_base(False, "pip install it").level, default_base(False, "pip install it").mend) == ("note", "pip install it")


def test_a_full_disk_and_too_little_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**6}))
    assert next(iter(machine.disk(tmp_path / "home"))).level == "problem"


def test_a_home_in_whose_way_a_file_lies_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    *_, last = machine.disk(tmp_path / "file" / "home")
    assert (last.level, last.what) == ("problem", f"{tmp_path / 'file'} is no folder.")
    assert machine.memory(Place("it", 10**8, False, whole=4 * 10**9), "bf16").level == "problem"


def test_memory_is_judged_in_the_precision_that_would_be_loaded() -> None:
    levels = [
        [machine.memory(Place("it", memory, gpu=False, whole=4 * 10**9), precision).level for precision in ("bf16", "fp32")]
        for memory in (16 * 10**8, 13 * 10**8, 10**9, 8 * 10**8)
    ]
    assert levels == [["ok", "ok"], ["ok", "note"], ["note", "problem"], ["problem", "problem"]], "adapt steps down by itself"


def test_a_server_does_not_find_fault_with_its_own_port() -> None:
    assert "port" not in {it.about for it in checkup.findings(probed=False, asked=False, serving=True)}


def test_a_hub_that_does_not_answer_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert machine.hub(offline=False).level == "note"


def test_a_throttled_card_is_noted() -> None:
    place = gpu("NVIDIA GeForce RTX 4090", 2**34, 2**34, "its driver")
    assert machine.pace(Speed(1e12, 1e12, "measured here"), place).level == "note"
    assert machine.pace(Speed(1e14, 1e12, "measured here"), place).level == "ok"
