"""One shape in one precision, in a process of its own: what its base takes, and what teaching takes beside it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "planner")]

from cell import CPU, worked
from drawn import base_of, shipped
from heights import height, held

from headstart.heap import lean
from headstart.lm.load import hush
from headstart.plan.setting import Setting
from headstart.plan.shape import shape_of
from headstart.plan.verdict import as_by_default
from headstart.teach.lesson import teach
from headstart.teach.recipe import Recipe
from headstart.terms import EMBEDDED


def main() -> None:
    asked = json.loads(sys.argv[1])
    steps, setting = asked["steps"], Setting(**asked["setting"])
    config = None if asked["shape"] == EMBEDDED else shipped(asked["shape"])
    hush()
    # Freed memory goes back at once, so that what is resident is what is in use.
    lean()
    if asked["precision"] not in ("bf16", "fp32"):
        import bitsandbytes  # noqa: F401
    found: dict[str, Any] = {"before": held(CPU)}
    base, found["making"] = height(lambda: base_of(config, asked["precision"]), CPU)
    found["base"] = held(CPU) - found["before"]
    found["weights"] = base.bytes
    examples = [worked(base.chat, setting.length, setting.answer, i) for i in range(setting.examples)]
    laid = [base.chat.lay(it) for it in examples]
    found |= {"length": len(laid[0]), "answer": len(laid[0].completion)}
    shape = shape_of(base.model.config.to_dict() | {"quantization_config": None}, asked["shape"])
    for way, layout, checkpoint in (("default", as_by_default(shape, setting), False), ("checkpoint", as_by_default(shape, setting), True)):
        # The upper third of the layers, every linear, as `headstart adapt` has it.
        recipe = Recipe(steps=steps, rank=setting.rank, folds=setting.folds, checkpoint=checkpoint)
        worked_for = time.process_time()
        taught, facts = height(lambda recipe=recipe: teach(base, examples, recipe), CPU)
        found[way] = {
            "lowest": layout.lowest,
            "peak": facts["peak"],
            "beside": facts["peak"] - facts["before"],
            "seconds_a_step": taught.seconds / taught.steps,
            "seconds_in_all": facts["seconds"],
            "processor_seconds_in_all": time.process_time() - worked_for,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
