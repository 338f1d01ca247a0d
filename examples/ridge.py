"""A learner of one's own: features that all tasks share, and a ridge regression on them for each task."""

from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.embedding import embed, through_query
from headstart.learners.parts import prefixed
from headstart.net import Mlp, Net


@dataclass(frozen=True)
class Ridge:
    """The task's own part is solved for, not stepped towards. Source: Bertinetto et al. 2019, R2-D2, equations 4 to 6."""

    net: Net
    """The features, (rows, n, ...) -> (rows, n, features)."""

    def begin(self, seed: int) -> Weights:
        """Fresh features, and how strongly large weights are held back."""
        return prefixed("net", self.net.blank(seed)) | {"log_penalty": torch.zeros(())}

    def adapt(self, meta: Weights, support: Labelled) -> Tensor:
        """The weights of each task, (tasks, features, width)."""
        x = embed(self.net, meta, support.inputs)
        inner = x @ x.mT + meta["log_penalty"].exp() * torch.eye(x.shape[1])
        return x.mT @ torch.linalg.solve(inner, support.targets)

    def predict(self, meta: Weights, fast: Tensor, asked: Asked) -> Tensor:
        """Values, (rows, n, width)."""
        return embed(self.net, meta, asked.inputs) @ fast[asked.owners]

    def meta_gradient(self, meta: Weights, episodes: Episodes) -> tuple[Weights, Tensor]:
        """Through the query loss, and through the solution."""
        return through_query(self, meta, episodes)


if __name__ == "__main__":
    from headstart.tasks.sine import Sine
    from headstart.train.meta import Watch, begin, meta_train
    from headstart.train.outer import Outer
    from headstart.train.score import score

    learner, tasks, outer = Ridge(Mlp((1, 64, 64, 64))), Sine(), Outer(steps=600, batch=25, rate=3e-3)
    judge = lambda meta: score(learner, meta, tasks, "validation", 200)  # noqa: E731
    fresh = begin(learner.begin(seed=0), outer)
    print(f"before: {judge(fresh.meta).mean:.3f}")
    for state in meta_train(learner, tasks, outer, Watch(every=200), judge, fresh):
        if state.judged == state.step:
            print(f"step {state.step}: mean squared error on new waves, from ten points of each: {state.score.mean:.3f}")
