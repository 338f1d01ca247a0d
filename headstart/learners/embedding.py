"""What the families with one embedding for all tasks have in common: the embedding, answers as code rows, one gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.bank import Weights, fill
from headstart.episode import Episodes
from headstart.errors import BankError, TasksError
from headstart.learners.learner import Learner
from headstart.learners.parts import mean_gradient, part
from headstart.net import Net


def embed(net: Net, meta: Mapping[str, Tensor], inputs: Tensor, features: int | None = None) -> Tensor:
    """Features of inputs under the embedding that all tasks share, the weights "net.*" of meta.

    A net sees one row at a time. So where it normalises by its batch, the batch is a row: a task's support is normalised by
    itself, and so are its queries.

    Args:
        net: the embedding.
        meta: name -> (...).
        inputs: (rows, n, ...).
        features: the width that the learner was built for; None takes any.

    Returns:
        (rows, n, features).

    Raises:
        BankError: the net gives another width.
    """
    # A copy a row: nets are fastest in lockstep, and the gradient of copies is summed in one order on every device.
    slots = torch.arange(1, len(inputs) + 1)
    embedded = net(fill(part("net", meta), len(inputs)), slots, inputs).flatten(2)
    if features not in (None, embedded.shape[2]):
        raise BankError(f"The net gives {embedded.shape[2]} features and the learner was built for {features}: set features to the former.")
    return embedded


def ways_shown(targets: Tensor) -> int:
    """How many classes a batch of supports has, all of them shown in every task.

    Args:
        targets: classes from 0, (tasks, n) int64.

    Raises:
        TasksError: targets are values, or some task shows no example of some class.
    """
    if targets.is_floating_point():
        raise TasksError("This learner tells classes apart and the tasks ask for values: choose maml, reptile, mann, snail or neighbour.")
    ways = int(targets.max()) + 1
    missing = (F.one_hot(targets, ways).sum(1) == 0).nonzero()[:1].tolist()
    if missing:
        task, label = missing[0]
        raise TasksError(f"Task {task} of the batch shows no example of class {label} of {ways}: every class needs one.")
    return ways


def codes(targets: Tensor, ways: int, dtype: torch.dtype) -> Tensor:
    """Answers as rows that a network can read: classes one-hot, values as they are; (tasks, n, ways).

    Args:
        targets: classes from 0, (tasks, n) int64; or values, (tasks, n, ways) float.
        ways: the classes, or the width of the values, that the network was built for.
        dtype: of the codes.

    Raises:
        TasksError: more classes, or another width, than that.
    """
    got = targets.shape[-1] if targets.is_floating_point() else int(targets.max()) + 1
    if got > ways or (targets.is_floating_point() and got != ways):
        raise TasksError(f"The tasks have {got} classes or values and the learner was built for {ways}: set its ways to {got}.")
    return (targets if targets.is_floating_point() else F.one_hot(targets, ways)).to(dtype)


def through_query(learner: Learner, meta: Weights, episodes: Episodes) -> tuple[Weights, Tensor]:
    """The gradient of the query loss through prediction and adaptation, and each task's query loss."""

    def objective(leaves: Weights) -> tuple[Tensor, Tensor]:
        fast = learner.adapt(leaves, episodes.support)
        losses = episodes.query.losses(learner.predict(leaves, fast, episodes.query.asked))
        return losses, losses

    return mean_gradient(meta, objective)
