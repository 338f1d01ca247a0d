import sys
from pathlib import Path

import pytest

from headstart.train.curve import draw

LINES = [
    {"step": step, "loss": 1 / step, "validation": {"metric": "accuracy", "mean": 0.5, "low": 0.4, "high": 0.6}} for step in (10, 20, 30)
]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_log_of_any_length_is_drawn(tmp_path: Path, count: int) -> None:
    assert draw(LINES[:count], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["curve.png"]


def test_without_matplotlib_there_is_no_picture_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not draw(LINES, tmp_path / "curve.png")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_ends_no_run(tmp_path: Path) -> None:
    assert not draw(LINES, tmp_path / "absent" / "curve.png")
