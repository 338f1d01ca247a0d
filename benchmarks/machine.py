"""What a result was measured on, and what its figures are: as they are kept, and as they are told."""

from __future__ import annotations

import datetime
import json
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from headstart.train.evaluate import mean, mean_interval


def machine() -> dict[str, Any]:
    """Processor, cores, system and versions."""
    models = [row.partition(":")[2].strip() for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("model name")]
    known = getattr(torch.cpu, "get_capabilities", dict)()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": models[0] if models else platform.processor(),
        "cores": torch.get_num_threads(),
        "bf16_instructions": any(bool(known.get(k)) for k in ("avx512_bf16", "amx_bf16", "bf16")),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {p: number for p in ("headstart", "torch", "transformers", "peft") if (number := _version(p))},
    }


def machine_line(where: dict[str, Any]) -> str:
    """The same in a sentence."""
    bf16 = "with" if where["bf16_instructions"] else "without"
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    card = f"an {where['gpu']} beside " if where.get("gpu") else ""
    return f"Measured {where['date']} on {card}{where['processor']}, {where['cores']} cores, {bf16} bf16 instructions; {versions}."


def _version(package: str) -> str | None:
    """None: it is not installed; headstart itself may run from a checkout."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def keep(path: Path, facts: dict[str, Any]) -> None:
    """Write a result beside what it was measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **facts}, indent=1) + "\n")


def spread(values: list[float]) -> dict[str, Any]:
    """Mean, 95 % interval (Student's t) and the values themselves."""
    return {"mean": mean(values), "interval": list(mean_interval(values)) if len(values) > 1 else None, "values": values}


def cell(spread: dict[str, Any], form: str = "{:.2f}", least: float = 0.0, most: float = math.inf) -> str:
    """Mean and interval, whose ends are told no further out than `least` and `most`: what is counted is never under 0."""
    interval = spread["interval"] and [min(max(end, least), most) for end in spread["interval"]]
    return form.format(spread["mean"]) + (f" ({form.format(interval[0])} to {form.format(interval[1])})" if interval else "")
