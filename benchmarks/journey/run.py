"""What a newcomer waits for: a fresh clone, nothing cached, `make demo`; then `headstart ask`, from the shell to its first letter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep, spread

ROOT = HERE.parents[1]
ASKED = 5
"""Times that a question is asked; the base is cached by then."""


def demo(clone: Path, home: Path) -> dict[str, Any]:
    """Seconds of `make demo`, installs included, and what the adapter it leaves says of itself."""
    since = time.perf_counter()
    done = subprocess.run(
        ["make", "demo"], cwd=clone, env=os.environ | {"HEADSTART_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - since
    if done.returncode:
        raise SystemExit(f"make demo failed:\n{done.stdout}\n{done.stderr}")
    record = json.loads((home / "adapters" / "demo-dialect" / "headstart.json").read_text())
    print(f"make demo: {seconds:.0f} s, adapting {record['seconds']:.1f} s", flush=True)
    right = [line.strip() for line in done.stdout.splitlines() if " right  (" in line]
    return {"seconds": seconds, "adapting_seconds": record["seconds"], "right": right}


def first_letter(clone: Path, home: Path, *words: str) -> float:
    """Seconds from the shell to the first letter of an answer."""
    since = time.perf_counter()
    command = [str(clone / ".venv" / "bin" / "headstart"), "ask", *words]
    with subprocess.Popen(command, env=os.environ | {"HEADSTART_HOME": str(home)}, stdout=subprocess.PIPE) as asking:
        assert asking.stdout
        if not asking.stdout.read(1):
            raise SystemExit(f"{' '.join(command)} said nothing")
        seconds = time.perf_counter() - since
        asking.stdout.read()
    return seconds


def run() -> None:
    with tempfile.TemporaryDirectory() as place:
        clone, home = Path(place) / "clone", Path(place) / "home"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        shown = demo(clone, home)
        question = "How many crew have a salary above 50?"
        asked = [first_letter(clone, home, "--adapter", "demo-dialect", question) for _ in range(ASKED)]
    print(f"ask: first letter after {min(asked):.1f} to {max(asked):.1f} s")
    keep(HERE / "results" / "default.json", {"demo": shown, "first_letter": spread(asked)})


if __name__ == "__main__":
    run()
