import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from headstart.errors import SettingsError
from headstart.learners.gradient import Maml
from headstart.learners.joint import Joint
from tests.learners.toys import NET, apart, episodes, known, predicted, smooth


def test_training_is_that_of_one_net_on_all_examples() -> None:
    learner, e = Joint(NET), episodes()
    meta = known(learner)
    leaves = {name.removeprefix("net."): w.clone().requires_grad_() for name, w in meta.items()}
    inputs, targets = (torch.cat([getattr(e.support, side), getattr(e.query, side)], dim=1).flatten(0, 1) for side in ("inputs", "targets"))
    loss = F.cross_entropy(functional_call(smooth(), leaves, (inputs,)), targets)
    wanted = torch.autograd.grad(loss, list(leaves.values()))
    gradient, losses = learner.meta_gradient(meta, e)
    assert apart(gradient, {f"net.{name}": g for name, g in zip(leaves, wanted, strict=True)}) < 1e-12
    assert torch.allclose(losses, e.query.losses(predicted(Joint(NET, steps=0), meta, e)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_new_task_takes_the_steps_that_maml_takes(steps: int) -> None:
    learner, maml, e = Joint(NET, steps=steps, rate=0.3), Maml(NET, steps=steps, rate=0.3), episodes()
    meta = known(learner)
    assert apart(learner.adapt(meta, e.support), maml.adapt(meta, e.support)) == 0


def test_fewer_than_no_steps_are_refused() -> None:
    with pytest.raises(SettingsError, match="steps is -1"):
        Joint(NET, steps=-1)
