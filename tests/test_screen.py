"""What the terminal shows of what users named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart import screen
from tests.conftest import Told

ODD = "[red]a[/] [/] :key: 12 " + "b" * 200


@pytest.mark.parametrize("tell", [screen.say, screen.warn])
def test_a_line_is_shown_as_it_is(tell: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    tell(ODD)
    assert "".join(capsys.readouterr()) == f"{ODD}\n"


def test_a_shelf_s_place_is_named_as_it_is(headstart: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ":key: [red]"
    monkeypatch.setenv("HEADSTART_HOME", str(home))
    assert headstart("adapters", "list").out.startswith(f"The shelf {home / 'adapters'} is empty")
