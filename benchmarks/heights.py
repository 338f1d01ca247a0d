"""What work takes on the device where it runs: seconds, and the height of memory; cell by cell, written as soon as each is done."""

from __future__ import annotations

import argparse
import gc
import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, final

import torch
from machine import machine

T = TypeVar("T")
Facts = dict[str, Any]


def arguments(what: str | None, seconds: float) -> argparse.Namespace:
    """--device, --out, --seconds and --only, as every benchmark for a card has them."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", type=torch.device)
    parser.add_argument("--out", type=Path, help="folder for the results; none: beside the benchmark")
    parser.add_argument("--seconds", type=float, default=seconds, help="no cell is begun after so many")
    parser.add_argument("--only", help="bases whose name ends so, and no others")
    return parser.parse_args()


def height(work: Callable[[], T], device: torch.device) -> tuple[T, Facts]:
    """What it gives, and how long it took and what it held meanwhile.

    Bytes: `before` and `peak` are what tensors held on a card, and resident memory elsewhere. On a card `requested` is that without what
    the caching allocator rounds up, `reserved` the height of what it took from the driver, and `card` all that the driver had given away
    then, contexts and other programs included.
    """
    give_back(device)
    before = _begin(device)
    since = time.perf_counter()
    done = work()
    _settle(device)
    seconds = time.perf_counter() - since
    return done, {"seconds": seconds, "before": before} | _ended(device)


def held(device: torch.device) -> int:
    """Bytes that tensors hold now on a card, and resident memory elsewhere."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _status("VmRSS")


def taken(device: torch.device) -> int | None:
    """Bytes that the card's driver has given away; None: it is no card."""
    if device.type != "cuda":
        return None
    free, whole = torch.cuda.mem_get_info(device)
    return whole - free


def give_back(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _begin(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")
    return held(device)


def _ended(device: torch.device) -> Facts:
    if device.type != "cuda":
        return {"peak": _status("VmHWM")}
    peak, reserved = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    requested = torch.cuda.memory_stats(device)["requested_bytes.all.peak"]
    return {"peak": peak, "requested": requested, "reserved": reserved, "card": taken(device)}


def _status(key: str) -> int:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(key))
    return int(line.split()[1]) * 1024


@final
class Cells:
    """Results of one benchmark in one file.

    Args:
        path: of the file; its folder is made.
        device: where the cells run.
        seconds: no cell is begun after so many.
    """

    def __init__(self, path: Path, device: torch.device, seconds: float) -> None:
        self._path, self._device, self._seconds, self._since = path, device, seconds, time.perf_counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._facts: Facts = {"machine": machine(), "device": str(device), "taken_at_first": taken(device)}
        self.cells: list[Facts] = []
        self._write()

    @property
    def left(self) -> float:
        """Seconds."""
        return self._seconds - (time.perf_counter() - self._since)

    def add(self, cell: Facts, work: Callable[[], Facts]) -> Facts:
        """What work gives beside the cell's own facts; a cell that fails says why, and the next one goes on."""
        if self.left <= 0:
            print(f"no time left for {cell}", flush=True)
            return {}
        try:
            found = cell | work()
        except Exception as error:
            traceback.print_exc()
            found = cell | {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        self.cells.append(found)
        self._write()
        # Behind the handler, as its traceback holds what was taken.
        give_back(self._device)
        return found

    def note(self, **facts: Any) -> None:
        """Facts of no one cell."""
        self._facts |= facts
        self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps(self._facts | {"cells": self.cells}, indent=1, default=str) + "\n")
