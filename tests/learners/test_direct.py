import pytest
import torch
import torch.nn.functional as F

from headstart.episode import Drawn, Episodes, Labelled
from headstart.errors import SettingsError
from headstart.learners.direct import Direct
from headstart.learners.parts import part
from headstart.net import Mlp

NET = Mlp((3, 5, 4))


def episodes(tasks: int = 3) -> Episodes:
    rng = torch.Generator().manual_seed(0)
    sides = [(torch.randn(tasks, n, 3, generator=rng, dtype=torch.float64), torch.randint(4, (tasks, n), generator=rng)) for n in (2, 6)]
    return Drawn(*(Labelled(x, y) for x, y in sides))


def test_the_gradient_is_that_of_the_mean_query_loss() -> None:
    learner, drawn = Direct(NET), episodes()
    meta = {name: w.double() for name, w in learner.begin(0).items()}
    found, losses = learner.meta_gradient(meta, drawn)
    leaves = {name: w.clone().requires_grad_() for name, w in part("net", meta).items()}
    x, y = drawn.query.inputs, drawn.query.targets
    outputs = NET({name: torch.stack([torch.zeros_like(w), w]) for name, w in leaves.items()}, torch.ones(3, dtype=torch.int64), x)
    each = torch.stack([F.cross_entropy(o, t) for o, t in zip(outputs, y, strict=True)])
    wanted = torch.autograd.grad(each.mean(), list(leaves.values()))
    torch.testing.assert_close(losses, each.detach())
    for name, gradient in zip(leaves, wanted, strict=True):
        torch.testing.assert_close(found[f"net.{name}"], gradient)


def test_no_support_changes_what_is_predicted() -> None:
    learner, drawn = Direct(NET), episodes()
    meta = {name: w.double() for name, w in learner.begin(0).items()}
    other = Labelled(drawn.support.inputs * 9, drawn.support.targets)
    predictions = [learner.predict(meta, learner.adapt(meta, support), drawn.query.asked) for support in (drawn.support, other)]
    torch.testing.assert_close(*predictions)
    assert not predictions[0].requires_grad


def test_tasks_together_are_tasks_alone_in_whatever_order_their_sizes_put_them() -> None:
    drawn = episodes(5)
    meta = {name: w.double() for name, w in Direct(NET).begin(0).items()}
    alone, each = Direct(NET).meta_gradient(meta, drawn)
    for together in (2, 5, 9):
        found, losses = Direct(NET, together).meta_gradient(meta, drawn)
        torch.testing.assert_close(losses, each)
        for name, gradient in alone.items():
            torch.testing.assert_close(found[name], gradient)


def test_a_pass_of_no_tasks_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"learner.together is 0; 1 or more is wanted"):
        Direct(NET, 0)
