"""The log of a run as a picture."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart import disk
from headstart.errors import StorageError


def draw(lines: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Training loss and validation score with its interval, over meta-steps, as PNG; False if that cannot be.

    It needs matplotlib, which headstart does not.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(9, 4))
    steps, scores = [line["step"] for line in lines], [line["validation"] for line in lines]
    left, right = figure.subplots(1, 2)
    left.plot(steps, [line["loss"] for line in lines])
    left.set(title="training, query loss", xlabel="meta-step", yscale="log")
    right.plot(steps, [s["mean"] for s in scores])
    right.fill_between(steps, [s["low"] for s in scores], [s["high"] for s in scores], alpha=0.3)
    right.set(title=f"validation, {scores[-1]['metric'] if scores else ''}", xlabel="meta-step")
    # The numbers are in the log already: a picture that the disk refuses ends no run.
    with contextlib.suppress(OSError, StorageError):
        part = path.with_name(f".part-{path.name}")
        figure.savefig(part, dpi=120)
        disk.settle(part, path)
        return True
    return False
