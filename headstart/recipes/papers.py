"""Settings that a paper gives for its learner on its tasks; they stand where nobody sets anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final


@final
@dataclass(frozen=True)
class Advice:
    """Settings that belong together."""

    values: Mapping[str, Any]
    """Key -> what it is where nobody sets it."""
    where: Mapping[str, Any] = field(default_factory=dict)
    """Key -> what it must be, set or not (".key": of no table), for the advice to be of any use."""


_MAML_ON_SINE = (Advice({"outer.batch": 25, "outer.steps": 70_000, "learner.rate": 0.01, "learner.steps": 1}),)
# A run that begins from another's weights has the split and the net of those.
_AT_RANDOM = Advice({"tasks.split": "random", "net.strided": True}, {".begin": None})
# Each with the steps of its test, which are of no use after other steps in training.
_MAML_ON_OMNIGLOT = (
    _AT_RANDOM,
    Advice({"outer.steps": 60_000}),
    Advice({"outer.batch": 32, "learner.rate": 0.4, "learner.steps": 1}, {"tasks.ways": 5}),
    Advice({"evaluate.steps": [3]}, {"tasks.ways": 5, "learner.steps": 1}),
    Advice({"outer.batch": 16, "learner.rate": 0.1, "learner.steps": 5}, {"tasks.ways": 20}),
)

PAPERS: Mapping[tuple[str, str], tuple[Advice, ...]] = {
    # Finn et al. 2017, section 5.1, appendix A.1 and the authors' code.
    **{("sine", kind): _MAML_ON_SINE for kind in ("maml", "fomaml", "joint")},
    **{("omniglot", kind): _MAML_ON_OMNIGLOT for kind in ("maml", "fomaml")},
    # Nichol et al. 2018, the authors' flags for 5-way Omniglot.
    ("omniglot", "reptile"): (
        _AT_RANDOM,
        Advice(
            {"outer.batch": 5, "outer.steps": 100_000, "learner.steps": 5, "learner.rate": 1e-3, "learner.batch": 10}, {"tasks.ways": 5}
        ),
        Advice({"tasks.train_shots": 10}, {"tasks.ways": 5, "learner.batch": 10}),
        Advice({"evaluate.steps": [50]}, {"tasks.ways": 5, "learner.steps": 5}),
    ),
    # Measured on validation classes of two sets of intents.
    ("topics", "prototypes"): (Advice({"learner.measure": "centred", "learner.scale": 12.0, "outer.steps": 100, "outer.rate": 1e-3}),),
    ("topics", "neighbour"): (Advice({"learner.measure": "centred"}),),
    # Snell et al. 2017, section 3.1.
    ("omniglot", "prototypes"): (Advice({"outer.batch": 1, "outer.rate": 1e-3, "tasks.train_ways": 60, "tasks.train_queries": 5}),),
}
"""(kind of tasks, kind of learner) -> what to set, in the order in which it is looked at."""
