from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from headstart.bank import Weights, take
from headstart.episode import Labelled
from headstart.errors import SettingsError
from headstart.learners.inner import Adam, Sgd
from headstart.learners.joint import Joint
from headstart.learners.parts import halves, part
from headstart.learners.reptile import Reptile
from tests.learners.toys import NET, SHOWN, apart, episodes, known, predicted, smooth


def by_hand(learner: Reptile, meta: Weights, shown: Labelled, optimiser: type[torch.optim.Optimizer], **settings: Any) -> Weights:
    """The tasks' own training, one after the other, by one optimiser of torch's and an index counted round."""
    leaves = {name: w.clone().requires_grad_() for name, w in part("net", meta).items()}
    stepper, module = optimiser(leaves.values(), lr=learner.rate, **settings), smooth()
    for task in range(shown.tasks):
        for step in range(learner.steps):
            picked = [(step * learner.batch + i) % SHOWN for i in range(learner.batch)]
            stepper.zero_grad()
            F.cross_entropy(functional_call(module, leaves, (shown.inputs[task, picked],)), shown.targets[task, picked]).backward()
            stepper.step()
    return {name: w.detach() for name, w in leaves.items()}


@pytest.mark.parametrize(
    ("inner", "optimiser", "settings"), [(Sgd(), torch.optim.SGD, {}), (Adam(0.0), torch.optim.Adam, {"betas": (0.0, 0.999)})]
)
@pytest.mark.parametrize("batch", [1, 4, 6])
def test_a_task_is_trained_as_if_it_were_alone(inner: Any, optimiser: Any, settings: dict[str, Any], batch: int) -> None:
    learner = Reptile(NET, steps=5, rate=0.1, batch=batch, inner=inner)
    meta, e = known(learner), episodes()
    fast = learner.adapt(meta, e.support)
    for task in range(e.tasks):
        wanted = by_hand(learner, meta, e.support.part([task]), optimiser, **settings)
        assert apart(take(fast, task + 1), wanted) < (1e-4 if isinstance(inner, Adam) else 1e-12)


def test_what_adam_keeps_goes_on_from_task_to_task() -> None:
    """Of one task a meta-step at a rate of 1, Reptile is one long training: Adam's squares are those of all of it."""
    learner = Reptile(NET, steps=5, rate=0.1, batch=4)
    meta, e = known(learner), episodes()
    wanted = by_hand(learner, meta, e.support, torch.optim.Adam, betas=(0.0, 0.999))
    anew = by_hand(learner, meta, e.support.part([e.tasks - 1]), torch.optim.Adam, betas=(0.0, 0.999))
    for task in range(e.tasks):
        away, _ = learner.meta_gradient(meta, e.part([task]))
        meta = {name: w - away[name] for name, w in meta.items()}
    assert apart(part("net", meta), wanted) < 1e-4 < apart(anew, wanted)
    assert meta["kept.count"] == 5 * e.tasks
    learned, kept = halves(meta)
    assert {*learned} == {f"net.{name}" for name in wanted}
    assert {**learned, **kept} == meta


def test_momentum_begins_anew_with_every_task() -> None:
    """And is of full length from a walk's first step on, as the squares are."""
    grad = {"w": torch.full((2, 3), 0.5, dtype=torch.float64)}
    for adam in (Adam(0.9), Adam(0.0)):
        state, bank = adam.begin(grad), {"w": torch.zeros(2, 3, dtype=torch.float64)}
        for walk in range(3):
            for _ in range(4):
                state, bank = adam.step(state, bank, grad, {"w": 0.1})
            assert torch.allclose(bank["w"], torch.tensor(-0.4 * (walk + 1), dtype=torch.float64))
            state = adam.begin(grad, adam.kept(state))


def test_the_pseudo_gradient_is_how_far_tasks_ended_from_meta() -> None:
    learner = Reptile(NET, rate=0.1, batch=2)
    meta, e = known(learner), episodes()
    fast = learner.adapt(meta, e.support)
    gradient, losses = learner.meta_gradient(meta, e)
    assert apart(part("net", gradient), {name: meta[f"net.{name}"] - sum(stack[1:]) / e.tasks for name, stack in fast.items()}) < 1e-12
    assert torch.equal(losses, e.query.losses(predicted(learner, meta, e)))


def test_one_step_on_the_whole_support_is_joint_training() -> None:
    learner = Reptile(NET, steps=1, rate=0.3, batch=100, inner=Sgd())
    meta, e = known(learner), episodes()
    joint, _ = Joint(NET).meta_gradient(meta, replace(e, query=e.support))
    assert apart(learner.meta_gradient(meta, e)[0], {name: learner.rate * g for name, g in joint.items()}) < 1e-12


def test_with_minibatches_the_order_of_the_support_counts() -> None:
    learner = Reptile(NET, steps=1, rate=0.3, batch=2, inner=Sgd())
    meta, e = known(learner), episodes()
    turned = replace(e, support=Labelled(e.support.inputs.flip(1), e.support.targets.flip(1)))
    assert not torch.allclose(predicted(learner, meta, turned), predicted(learner, meta, e))


def test_settings_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        Reptile(NET, steps=-1, batch=0)
    assert "steps is -1" in str(refusal.value)
    assert "batch is 0" in str(refusal.value)
