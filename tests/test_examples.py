"""The examples run, and the guide quotes them as they are."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.lm import load
from headstart.lm.load import Base
from tests.conftest import Told

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_mixed_batch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    apart = float(run("mixed_batch.py", monkeypatch, capsys).split()[-1])
    assert apart < 1e-4


def test_teach(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path, base_folder: Path) -> None:
    assert "10 examples" in run("teach.py", monkeypatch, capsys, str(base_folder))


def test_the_readme_s_python(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path, tiny: Base, colours: Path
) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    monkeypatch.setattr(load, "load", lambda: tiny)
    monkeypatch.chdir(colours.rename(colours.with_name("examples.jsonl")).parent)
    exec(compile(block, "README.md", "exec"), {})
    assert "Score(" in capsys.readouterr().out


def test_ridge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    *_, last = run("ridge.py", monkeypatch, capsys).splitlines()
    assert float(last.split()[-1]) < 0.05


def test_the_guide_s_tiny_tasks_make_a_start(
    headstart: Callable[..., Told], tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "20 tasks of 12 examples" in run("tiny_tasks.py", monkeypatch, capsys, str(tmp_path / "my-tasks"))
    guide = (ROOT / "docs" / "guide" / "your-own-start.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\$ headstart (meta-train .+)$", guide, re.MULTILINE)
    words = [{"my-tasks": str(tmp_path / "my-tasks"), "codes": str(tmp_path / "codes")}.get(word, word) for word in line.split()]
    told = headstart(*words, f"net.base={json.dumps(str(base_folder))}", "net.rank=2", "--json")
    assert told.code == 0, told.err
    assert told.json["start"] == "codes"


def test_every_example_is_run_here_and_is_short() -> None:
    here = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in here
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def test_the_guide_shows_the_example_as_it_is() -> None:
    guide = (ROOT / "docs" / "guide" / "new-learner.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    example = (EXAMPLES / "ridge.py").read_text(encoding="utf-8")
    assert quoted[0].strip() in example
    for line in quoted[1].strip().splitlines():
        assert line.strip() in example
