"""Ctrl-C in the middle of teaching, and of the report."""

import signal
import subprocess
import sys
from pathlib import Path

from headstart.adapters.store import Shelf

INTERRUPTED = """
from headstart.teach import lesson
import signal
# A shell's background jobs begin with Ctrl-C ignored, and what they start does too.
signal.signal(signal.SIGINT, signal.default_int_handler)
held = lesson.{held}
def announced(*words):
    print("{held}", flush=True)
    return held(*words)
lesson.{held} = announced
from headstart.cli import main
main()
"""


def stopped(held: str, colours: Path, base_folder: Path, steps: int) -> str:
    """What `adapt` says last where Ctrl-C comes as a piece of it begins."""
    words = ["adapt", str(colours), "--name", "hues", "--base", str(base_folder), "--steps", str(steps)]
    code = INTERRUPTED.format(held=held)
    with subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{held}\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_ctrl_c_stops_at_once_and_keeps_nothing(colours: Path, base_folder: Path, home: Path) -> None:
    assert stopped("fit", colours, base_folder, 10_000) == "stopped: nothing was kept."
    assert not (home / "adapters").exists() or list((home / "adapters").iterdir()) == []


def test_what_is_taught_is_there_before_its_report_and_stays(colours: Path, base_folder: Path, home: Path) -> None:
    assert stopped("hold_out", colours, base_folder, 40) == "stopped: 'hues' is kept as it was taught, and has no report."
    record = Shelf().record("hues")
    assert (record["steps"], record["verdict"], record["folds"]) == (40, None, 0)
