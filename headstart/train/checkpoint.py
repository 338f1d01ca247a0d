"""A state as two files, tensors and facts, and back again bit for bit."""

from __future__ import annotations

import json
from dataclasses import asdict

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from headstart.bank import Weights
from headstart.errors import RunRefused
from headstart.train.meta import Best, State
from headstart.train.score import Score

TENSORS = "tensors.safetensors"
FACTS = "state.json"


def pack(state: State) -> dict[str, bytes]:
    """File name -> content."""
    parts = {"meta": state.meta, "moments": state.moments, "best": state.best.meta if state.best else {}}
    # Cloned, as tensors that are parts of one vector cannot be saved side by side.
    tensors = {f"{part}.{name}": w.detach().cpu().clone() for part, some in parts.items() for name, w in some.items()}
    facts = {
        "step": state.step,
        "loss": state.loss,
        "judged": state.judged,
        "score": asdict(state.score) if state.score else None,
        "waited": state.waited,
        "best": {"step": state.best.step, "score": asdict(state.best.score)} if state.best else None,
    }
    return {TENSORS: save(tensors), FACTS: (json.dumps(facts, indent=2) + "\n").encode()}


def unpack(files: dict[str, bytes], begin: State) -> State:
    """The state of these files.

    Args:
        files: from `pack`.
        begin: a state of the same run, for the names, shapes, dtypes and devices that are wanted.

    Raises:
        RunRefused: the files are damaged, or of another learner.
    """
    try:
        facts, tensors = json.loads(files[FACTS]), load(files[TENSORS])
        meta, moments = _part(tensors, "meta", begin.meta), _part(tensors, "moments", begin.moments)
        best = facts["best"] and Best(facts["best"]["step"], Score(**facts["best"]["score"]), _part(tensors, "best", begin.meta))
        score = facts["score"] and Score(**facts["score"])
        return State(facts["step"], meta, moments, facts["loss"], facts["judged"], score, facts["waited"], best)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunRefused(f"The checkpoint cannot be read ({error}): --fresh starts the run over.") from error


def learned(files: dict[str, bytes]) -> Weights:
    """What a run has learned so far, whatever its learner: the best in validation, or else the last.

    Raises:
        RunRefused: the files are damaged.
    """
    try:
        tensors = load(files[TENSORS])
    except SafetensorError as error:
        raise RunRefused(f"The checkpoint cannot be read ({error}).") from error
    part = "best." if any(name.startswith("best.") for name in tensors) else "meta."
    return {name.removeprefix(part): w for name, w in tensors.items() if name.startswith(part)}


def _part(tensors: dict[str, Tensor], part: str, like: Weights) -> Weights:
    found = {name.removeprefix(f"{part}."): w for name, w in tensors.items() if name.startswith(f"{part}.")}
    misfits = sorted(found.keys() ^ like.keys())
    misfits += [
        name for name in found.keys() & like.keys() if (found[name].shape, found[name].dtype) != (like[name].shape, like[name].dtype)
    ]
    if misfits:
        raise ValueError(f"{part} {', '.join(misfits)} are not this learner's")
    # In the learner's own order, which a file does not keep.
    return {name: found[name].to(w.device) for name, w in like.items()}
