"""A cell in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def apart(script: Path, *words: str, threads: int | None = None) -> dict[str, Any]:
    """What a script says in its last line.

    Args:
        script: prints a line of JSON at its end.
        words: its arguments.
        threads: none: as many as torch takes by itself, which on all cores measure other programs' work too.

    Raises:
        SystemExit: it failed; the last line says why.
    """
    few = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, str(script), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **few})
    if done.returncode:
        # A process that the system ended says nothing itself.
        raise SystemExit(f"{script.name} {' '.join(words)} failed:\n{done.stderr.strip() or f'it ended with {done.returncode}'}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
