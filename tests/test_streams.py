"""Standard streams that are full, closed or gone."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

HEADSTART = [sys.executable, "-m", "headstart"]


def run(line: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, in which `"$@"` is the command."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"} | more
    return subprocess.run(["sh", "-c", line, "sh", *HEADSTART, *words], capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is full")
@pytest.mark.parametrize("words", [("adapters", "list"), ("adapters", "list", "--json"), ("--help",)])
@pytest.mark.parametrize("more", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_an_answer_that_cannot_be_written_is_one_line(home: Path, words: tuple[str, ...], more: dict[str, str]) -> None:
    told = run('"$@" > /dev/full', *words, **more)
    assert (told.returncode, told.stderr) == (1, "error: The answer could not be written to standard output: No space left on device.\n")


def test_what_is_closed_is_empty(home: Path) -> None:
    told = run('"$@" <&-', "ask", "-")
    assert (told.returncode, told.stderr) == (1, "error: The prompt is empty: give a question.\n")
    told = run('"$@" >&-', "adapters", "list", "--json")
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_whoever_listens_no_more_is_told_nothing(home: Path) -> None:
    # The pipe's reader is gone when the answer comes.
    told = run('{ sleep 0.2; "$@"; echo $? >&2; } | true', "adapters", "list")
    assert told.stderr == "1\n"


def test_the_version_is_told(home: Path) -> None:
    assert run('"$@"', "--version").stdout == f"headstart {version('headstart')}\n"
