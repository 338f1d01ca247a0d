"""Settings that a paper gives for its learner on its tasks; they stand where nobody sets anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAML_ON_SINE = {"outer.batch": 25, "outer.steps": 70_000, "learner.rate": 0.01, "learner.steps": 1}
_MAML_ON_OMNIGLOT = {"outer.batch": 32, "outer.steps": 60_000, "learner.rate": 0.4, "learner.steps": 1, "evaluate.steps": [3]}

PAPERS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # Finn et al. 2017, section 5.1 and the authors' code; 5-way for Omniglot.
    **{("sine", kind): _MAML_ON_SINE for kind in ("maml", "fomaml", "joint")},
    **{("omniglot", kind): _MAML_ON_OMNIGLOT for kind in ("maml", "fomaml")},
    # Nichol et al. 2018, the authors' flags for 5-way Omniglot.
    ("omniglot", "reptile"): {
        "outer.batch": 5,
        "outer.steps": 100_000,
        "learner.steps": 5,
        "learner.rate": 1e-3,
        "learner.batch": 10,
        "tasks.train_shots": 10,
        "evaluate.steps": [50],
    },
    # Measured on validation classes of two sets of intents.
    ("topics", "prototypes"): {"learner.measure": "centred", "learner.scale": 12.0, "outer.steps": 100, "outer.rate": 1e-3},
    ("topics", "neighbour"): {"learner.measure": "centred"},
    # Snell et al. 2017, section 3.1.
    ("omniglot", "prototypes"): {"outer.batch": 1, "outer.rate": 1e-3, "tasks.train_ways": 60, "tasks.train_queries": 5},
}
"""(kind of tasks, kind of learner) -> key -> value."""
