"""Ctrl-C in the middle of teaching."""

import signal
import subprocess
import sys
from pathlib import Path

INTERRUPTED = """
from headstart.teach import lesson
import signal
# A shell's background jobs begin with Ctrl-C ignored, and what they start does too.
signal.signal(signal.SIGINT, signal.default_int_handler)
fit = lesson.fit
def announced(*words):
    print("adapting", flush=True)
    return fit(*words)
lesson.fit = announced
from headstart.cli import main
main()
"""


def test_ctrl_c_stops_at_once_and_keeps_nothing(colours: Path, base_folder: Path, home: Path) -> None:
    words = ["adapt", str(colours), "--name", "hues", "--base", str(base_folder), "--steps", "10000"]
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "adapting\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "stopped: nothing was kept."
    assert "Traceback" not in err
    assert not (home / "adapters").exists() or list((home / "adapters").iterdir()) == []
