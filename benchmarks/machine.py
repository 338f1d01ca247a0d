"""What a result was measured on."""

from __future__ import annotations

import datetime
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

# Two-sided 95 % points of Student's t, by degrees of freedom.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}


def machine() -> dict[str, Any]:
    """Processor, cores, system and versions."""
    models = [row.partition(":")[2].strip() for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("model name")]
    known = torch.cpu.get_capabilities()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": models[0] if models else platform.processor(),
        "cores": torch.get_num_threads(),
        "bf16_instructions": any(bool(known.get(k)) for k in ("avx512_bf16", "amx_bf16", "bf16")),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {p: version(p) for p in ("headstart", "torch", "transformers", "peft")},
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Mean, 95 % interval (Student's t) and the values themselves."""
    centre = statistics.fmean(values)
    half = _T[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return {"mean": centre, "interval": [centre - half, centre + half] if half is not None else None, "values": values}
