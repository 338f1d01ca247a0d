"""What the terminal shows of what users named, and of what came from elsewhere."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.text import Text

from headstart import screen, streams
from headstart.commands import ask
from tests.conftest import Told

ODD = "[red]a[/] [/] :key: 12 " + "b" * 200
EVIL = "a\x1b]52;c;cm0=\x07b\x9b2Jc\rd\u202egnp\u2066.e\x7f"
SHOWN = "a]52;c;cm0=b2Jcdgnp.e"
"""The same with nothing in it that is obeyed."""


@pytest.mark.parametrize("tell", [screen.say, screen.warn])
def test_a_line_is_shown_as_it_is(tell: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    tell(ODD)
    assert "".join(capsys.readouterr()) == f"{ODD}\n"


def test_a_shelf_s_place_is_named_as_it_is(headstart: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ":key: [red]"
    monkeypatch.setenv("HEADSTART_HOME", str(home))
    assert headstart("adapters", "list").out.startswith(f"The shelf {home / 'adapters'} is empty")


def test_letters_of_every_script_stay() -> None:
    text = "a\tb\n10\u00a0000 \u3000 \u0646\u0645\u06cc\u200c\u0634\u0648\u062f \U0001f469\u200d\U0001f4bb \u200fשלום e\u0301 \ue000"
    assert streams.plain(text) == text
    assert streams.plain(EVIL) == SHOWN


@pytest.mark.parametrize("tell", [screen.say, screen.warn, lambda text: screen.say(Text(text))])
def test_a_line_gives_a_terminal_no_orders(tell: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    tell(EVIL)
    assert "".join(capsys.readouterr()) == f"{SHOWN}\n"


def test_json_gives_none_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    screen.emit({EVIL: [EVIL]})
    said = capsys.readouterr().out
    assert streams.plain(said) == said
    assert json.loads(said) == {EVIL: [EVIL]}


def test_tables_and_bars_give_none_but_their_own() -> None:
    told = io.StringIO()
    console = screen._Screen(file=told, force_terminal=True, color_system="standard", width=200, _environ={"TERM": "xterm"})
    console.print(screen.answers([(EVIL, EVIL, {EVIL: EVIL})], EVIL))
    assert told.getvalue().count(SHOWN) == 5
    assert f"\x1b[32m{SHOWN}\x1b[0m" in told.getvalue(), "right answers are green"
    with console.status(EVIL):
        console.print(EVIL, markup=False)
    assert "\x1b[?25l" in told.getvalue(), "the cursor is hidden while it turns"
    assert not any(order in told.getvalue() for order in ("\x1b]", "\x07", "\x9b", "\u202e", "\x7f"))


def test_an_error_gives_none(headstart: Callable[..., Told]) -> None:
    told = headstart("ask", "x", "--base", f"/nowhere/{EVIL}")
    assert (told.code, told.err.startswith(f"error: There is no base at '/nowhere/{SHOWN}'")) == (1, True)


@pytest.mark.parametrize("terminal", [True, False])
def test_an_answer_gives_none_and_goes_into_a_pipe_as_it_is(
    headstart: Callable[..., Told], base_folder: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    def answered(*_: object, listen: Callable[[int, str], None] | None) -> list[str]:
        for letter in EVIL if listen else "":
            listen(0, letter)  # type: ignore[misc]
        return [EVIL]

    monkeypatch.setattr(ask, "generate", answered)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert headstart("ask", "x", "--base", base_folder).out == f"{SHOWN if terminal else EVIL}\n"
    assert headstart("ask", "x", "--base", base_folder, "--json").json["completion"] == EVIL
