"""`headstart bench`: one question, measured in a source checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from headstart import screen
from headstart.errors import NameRefused, nearest


def run(name: str) -> None:
    """Run `benchmarks/NAME/run.py` of the checkout that the working folder is in."""
    root = next((p / "benchmarks" for p in [Path.cwd(), *Path.cwd().parents] if (p / "benchmarks").is_dir()), None)
    if root is None:
        raise NameRefused("Benchmarks lie in headstart's source checkout: run this inside one.")
    known = sorted(p.parent.name for p in root.glob("*/run.py"))
    if not name:
        screen.say("\n".join(known))
    elif name not in known:
        raise NameRefused(f"There is no benchmark '{name}'.{nearest(name, known)}")
    else:
        sys.exit(subprocess.run([sys.executable, str(root / name / "run.py")], check=False).returncode)
