"""One shape in one precision, in a process of its own: what its base takes, and what teaching takes beside it."""

from __future__ import annotations

import json
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "planner")]

from cell import phase, status, worked  # noqa: E402
from packed import drawn_base  # noqa: E402

from headstart.heap import lean  # noqa: E402
from headstart.lm.load import EMBEDDED, Base, hush, load  # noqa: E402
from headstart.lm.quantised import PRECISIONS  # noqa: E402
from headstart.plan.setting import Setting  # noqa: E402
from headstart.plan.shape import shape_of  # noqa: E402
from headstart.plan.verdict import as_by_default  # noqa: E402
from headstart.teach.lesson import teach  # noqa: E402
from headstart.teach.recipe import Recipe  # noqa: E402


def config_of(name: str) -> dict[str, Any]:
    """As the planner's table has it."""
    table = json.loads((files("headstart.plan") / "bases.json").read_text(encoding="utf-8"))["bases"]
    found: dict[str, Any] = next(row["config"] for row in table if name in row["names"])
    return found


def base_of(name: str, precision: str, device: str) -> Base:
    """The embedded base through the real loader; any other shape with random weights."""
    if name == EMBEDDED:
        dtype, bits = PRECISIONS[precision]
        return load(None, dtype, bits=bits)
    return drawn_base(config_of(name), precision, device)


def height(device: str, work: Any) -> tuple[Any, int]:
    """What it gives, and the most memory that is held meanwhile: the GPU's tensors, or what is resident."""
    if device == "cpu":
        return phase(work)
    torch.cuda.reset_peak_memory_stats()
    found = work()
    return found, torch.cuda.max_memory_allocated()


def held(device: str) -> int:
    """Now."""
    return status("VmRSS") if device == "cpu" else torch.cuda.memory_allocated()


def main() -> None:
    asked = json.loads(sys.argv[1])
    device, steps, setting = asked["device"], asked["steps"], Setting(**asked["setting"])
    hush()
    # Freed memory goes back at once, so that what is resident is what is in use.
    lean()
    if asked["precision"] not in ("bf16", "fp32"):
        import bitsandbytes  # noqa: F401
    found: dict[str, Any] = {"before": held(device)}
    since = time.perf_counter()
    base, found["making"] = height(device, lambda: base_of(asked["shape"], asked["precision"], device))
    found |= {"making_seconds": time.perf_counter() - since, "base": held(device) - found["before"]}
    found["weights"] = sum(p.numel() * p.element_size() for p in base.model.parameters())
    examples = [worked(base.chat, setting.length, setting.answer, i) for i in range(setting.examples)]
    laid = [base.chat.lay(it) for it in examples]
    found |= {"length": len(laid[0]), "answer": len(laid[0].completion)}
    shape = shape_of(base.model.config.to_dict() | {"quantization_config": None}, asked["shape"])
    for way, layout, checkpoint in (("default", as_by_default(shape, setting), False), ("checkpoint", as_by_default(shape, setting), True)):
        # The upper third of the layers, every linear, as `headstart adapt` has it.
        recipe = Recipe(steps=steps, rank=setting.rank, folds=setting.folds, checkpoint=checkpoint)
        at = held(device)
        since, worked_for = time.perf_counter(), time.process_time()
        taught, peak = height(device, lambda recipe=recipe: teach(base, examples, recipe))
        found[way] = {
            "lowest": layout.lowest,
            "peak": peak,
            "beside": peak - at,
            "seconds_a_step": taught.seconds / taught.steps,
            "seconds_in_all": time.perf_counter() - since,
            "processor_seconds_in_all": time.process_time() - worked_for,
        }
        if device != "cpu":
            found[way]["reserved"] = torch.cuda.max_memory_reserved()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
