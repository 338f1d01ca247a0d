"""The inner optimisers, and what holds for every learner that walks down a gradient."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from headstart.bank import Bank, fill
from headstart.episode import Asked, Labelled
from headstart.learners.gradient import Maml
from headstart.learners.implicit import Implicit
from headstart.learners.inner import Adam, Inner, Momentum, Sgd, slopes
from headstart.learners.joint import Joint
from headstart.learners.learner import Learner
from headstart.learners.one_by_one import OneByOne
from headstart.learners.reptile import Reptile
from headstart.net import Stacked
from tests.learners.toys import NET, TASKS, WAYS, WIDTH, apart, each, episodes, known, of, picked, predicted

LEARNERS: dict[str, Learner] = {
    "maml": Maml(NET, steps=3, rate=0.3),
    "maml by momentum": Maml(NET, steps=2, rate=0.3, inner=Momentum()),
    "maml by adam": Maml(NET, steps=2, rate=0.1, inner=Adam()),
    "maml with emphasis": Maml(NET, steps=2, rate=0.3, emphasis=(0.25, 0.75)),
    "fomaml": of("fomaml", steps=2, rate=0.3),
    "anil": of("anil", steps=2, rate=0.3),
    "meta-sgd": of("meta-sgd", rate=0.3),
    "lslr": of("lslr", steps=2, rate=0.3),
    "reptile": Reptile(NET, steps=3, rate=0.3, batch=4, inner=Sgd()),
    "reptile by adam": Reptile(NET, steps=3, rate=0.1, batch=4),
    "imaml": Implicit(NET, steps=5, rate=0.1),
    "joint": Joint(NET, steps=2, rate=0.3),
    "one by one": OneByOne(Maml(NET, rate=0.3)),
}
FULL_BATCH = {name: learner for name, learner in LEARNERS.items() if "reptile" not in name}
INNER: dict[str, tuple[Inner, type[torch.optim.Optimizer], dict[str, object]]] = {
    "sgd": (Sgd(), torch.optim.SGD, {}),
    "momentum": (Momentum(0.8), torch.optim.SGD, {"momentum": 0.8}),
    "adam": (Adam(0.8, 0.95), torch.optim.Adam, {"betas": (0.8, 0.95)}),
    "reptile's adam": (Adam(0.0), torch.optim.Adam, {"betas": (0.0, 0.999)}),
}


@each(LEARNERS)
def test_tasks_together_equal_tasks_alone(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    together, (gradient, losses) = predicted(learner, meta, e), learner.meta_gradient(meta, e)
    alone = [learner.meta_gradient(meta, e.part([i])) for i in range(TASKS)]
    for i in range(TASKS):
        assert torch.allclose(together[i], predicted(learner, meta, e.part([i]))[0], rtol=0, atol=1e-12)
    assert torch.allclose(losses, torch.cat([one for _, one in alone]), rtol=0, atol=1e-12)
    assert apart(gradient, {name: torch.stack([one[name] for one, _ in alone]).mean(0) for name in gradient}) < 1e-12


@each(LEARNERS)
def test_permuting_tasks_permutes(learner: Learner) -> None:
    meta, e, order = known(learner), episodes(), [2, 0, 1]
    assert torch.allclose(predicted(learner, meta, picked(e, order)), predicted(learner, meta, e)[order], rtol=0, atol=1e-12)
    (left, moved), (right, losses) = learner.meta_gradient(meta, picked(e, order)), learner.meta_gradient(meta, e)
    assert torch.allclose(moved, losses[order], rtol=0, atol=1e-12)
    assert apart(left, right) < 1e-12


@each(FULL_BATCH)
def test_the_order_of_the_support_does_not_matter(learner: Learner) -> None:
    meta, e, order = known(learner), episodes(), [3, 1, 5, 0, 2, 4]
    shuffled = replace(e, support=Labelled(e.support.inputs[:, order], e.support.targets[:, order]))
    assert torch.allclose(predicted(learner, meta, shuffled), predicted(learner, meta, e), rtol=0, atol=1e-12)
    assert apart(learner.meta_gradient(meta, shuffled)[0], learner.meta_gradient(meta, e)[0]) < 1e-12


@each(LEARNERS)
def test_a_task_may_own_several_rows(learner: Learner) -> None:
    meta, e, rows = known(learner), episodes(), [1, 0, 2, 2]
    fast, asked = learner.adapt(meta, e.support), e.query.asked
    several = learner.predict(meta, fast, Asked(asked.slots[rows], asked.inputs[rows]))
    assert torch.allclose(several, learner.predict(meta, fast, asked)[rows], rtol=0, atol=1e-12)


@each(LEARNERS)
def test_the_answers_wanted_change_losses_and_never_predictions(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    leaked = replace(e, query=replace(e.query, targets=(e.query.targets + 1) % 3))
    assert torch.equal(predicted(learner, meta, leaked), predicted(learner, meta, e))
    assert not torch.allclose(learner.meta_gradient(meta, leaked)[1], learner.meta_gradient(meta, e)[1])


class Saved:
    """A tensor that a graph keeps for its backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        # Detached, as a node whose own output is kept would keep itself alive.
        self.tensor = tensor.detach()


@contextmanager
def graphs() -> Iterator[weakref.WeakSet[Saved]]:
    """All that is kept for a backward pass inside, as long as it is."""
    alive: weakref.WeakSet[Saved] = weakref.WeakSet()

    def keep(tensor: Tensor) -> Saved:
        saved = Saved(tensor)
        alive.add(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved.tensor):
        yield alive


@each(LEARNERS)
def test_no_graph_outlives_a_call(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    with graphs() as alive:
        fast = learner.adapt(meta, e.support)
        outputs = learner.predict(meta, fast, e.query.asked)
        gradient, losses = learner.meta_gradient(meta, e)
        assert len(alive) == 0
    assert not any(w.requires_grad for w in (outputs, losses, *gradient.values(), *meta.values()))


def test_memory_does_not_grow_with_meta_steps() -> None:
    learner, kept = LEARNERS["fomaml"], []
    meta = known(learner)
    with graphs() as alive:
        for number in range(50):
            gradient, losses = learner.meta_gradient(meta, episodes(seed=number))
            meta = {name: w - 0.01 * gradient[name] for name, w in meta.items()}
            kept.append(losses)
        assert len(alive) == 0


@pytest.mark.parametrize("second", [False, True])
def test_slopes_keep_a_graph_only_if_asked_to(second: bool) -> None:
    bank = fill({name: w.requires_grad_() for name, w in NET.blank(0).items()}, TASKS)
    grads = slopes(NET, bank, tuple(bank), episodes().support, second)
    assert all(g.requires_grad == second for g in grads.values())


@each(LEARNERS)
def test_meta_is_not_written_to(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    before = {name: w.clone() for name, w in meta.items()}
    predicted(learner, meta, e)
    learner.meta_gradient(meta, e)
    assert apart(meta, before) == 0


@each(LEARNERS)
def test_every_name_of_meta_has_a_gradient_of_its_shape(learner: Learner) -> None:
    meta = known(learner)
    gradient, losses = learner.meta_gradient(meta, episodes())
    assert {name: g.shape for name, g in gradient.items()} == {name: w.shape for name, w in meta.items()}
    assert losses.shape == (TASKS,)


@each(LEARNERS)
def test_adapting_needs_no_grad_mode_and_leaves_the_base_as_it_is(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    fast = learner.adapt(meta, e.support)
    with torch.no_grad():
        again = learner.adapt(meta, e.support)
    bank, same = (fast[0], again[0]) if isinstance(learner, OneByOne) else (fast, again)
    assert apart(bank, same) == 0
    assert not any(stack[0].any() for stack in bank.values())
    assert not any(torch.equal(bank["head.weight"][1], bank["head.weight"][i]) for i in (2, 3))


@pytest.mark.parametrize("name", INNER)
def test_an_inner_optimiser_is_torchs_own(name: str) -> None:
    inner, kind, settings = INNER[name]
    chance = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 4, generator=chance, dtype=torch.float64)
    bank: Bank = {"w": weights, "still": weights}
    theirs = weights.clone().requires_grad_()
    optimiser = kind([theirs], lr=0.1, **settings)  # type: ignore[call-arg]
    state = inner.begin({"w": weights})
    for _ in range(4):
        grad = torch.randn(3, 4, generator=chance, dtype=torch.float64)
        theirs.grad = grad
        optimiser.step()
        state, bank = inner.step(state, bank, {"w": grad}, {"w": 0.1})
        assert torch.allclose(bank["w"], theirs, rtol=0, atol=1e-6)
    assert bank["still"] is weights


def test_adam_has_a_derivative_where_a_gradient_is_zero() -> None:
    adam, grad = Adam(), torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    bank = {"w": torch.ones(2, 3, dtype=torch.float64)}
    state = adam.begin(bank)
    for _ in range(2):
        state, bank = adam.step(state, bank, {"w": grad}, {"w": 0.1})
    assert torch.equal(bank["w"], torch.ones(2, 3, dtype=torch.float64))
    [slope] = torch.autograd.grad(bank["w"].sum(), grad)
    assert torch.isfinite(slope).all()


def test_rates_may_differ_from_number_to_number() -> None:
    rate = torch.tensor([0.1, 0.0])
    _, bank = Sgd().step(None, {"w": torch.ones(3, 2)}, {"w": torch.ones(3, 2)}, {"w": rate})
    assert torch.allclose(bank["w"], torch.tensor([0.9, 1.0]).expand(3, 2))


def test_adam_divides_by_its_floor_at_least_from_the_first_step_on() -> None:
    adam, grad = Adam(floor=1e-3), torch.full((2, 3), 1e-3, dtype=torch.float64)
    bank = {"w": torch.zeros(2, 3, dtype=torch.float64)}
    state = adam.begin(bank)
    for step in range(1, 4):
        state, bank = adam.step(state, bank, {"w": grad}, {"w": 0.1})
        # A gradient as large as the floor, squared and added to it, doubles what the root is of.
        assert torch.allclose(bank["w"], torch.tensor(-0.1 * step / 2**0.5, dtype=torch.float64))


class Idle(nn.Linear):
    """With a weight that nothing is made of."""

    def __init__(self) -> None:
        super().__init__(WIDTH, WAYS, dtype=torch.float64)
        self.idle = nn.Parameter(torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("order", [1, 2])
def test_a_weight_that_plays_no_part_stays_as_it_is(order: Literal[1, 2]) -> None:
    learner = Maml(Stacked(Idle), steps=2, rate=0.3, order=order)
    meta = learner.begin(0)
    assert torch.equal(learner.adapt(meta, episodes().support)["idle"][1], meta["net.idle"])
    gradient, _ = learner.meta_gradient(meta, episodes())
    assert not gradient["net.idle"].any()
    assert gradient["net.weight"].any()
