from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from headstart.bank import Bank, Weights, worn
from headstart.episode import Labelled
from headstart.errors import SettingsError
from headstart.learners.gradient import Maml
from headstart.learners.inner import Adam, Momentum, Sgd
from headstart.net import Mlp
from headstart.tasks.sine import Sine
from tests.learners.toys import NET, apart, differences, episodes, known, of, predicted, query_loss, smooth

EXACT: dict[str, Maml] = {
    f"{name}, {steps} steps": Maml(NET, steps=steps, rate=rate, inner=inner)
    for name, inner, rate in (("sgd", Sgd(), 0.3), ("momentum", Momentum(), 0.3), ("adam", Adam(floor=0.1), 0.05))
    for steps in (1, 3)
} | {
    "anil": of("anil", steps=2, rate=0.3),
    "meta-sgd": of("meta-sgd", steps=2, rate=0.3),
    "lslr": of("lslr", steps=3, rate=0.3),
    "lslr of a head": of("lslr", steps=2, rate=0.3, adapts=("head.",)),
    "no steps": Maml(NET, steps=0),
}


@pytest.mark.parametrize("learner", EXACT.values(), ids=EXACT.keys())
def test_the_meta_gradient_agrees_with_finite_differences(learner: Maml) -> None:
    meta, e = known(learner), episodes(tasks=2)
    assert apart(learner.meta_gradient(meta, e)[0], differences(lambda at: query_loss(learner, at, e), meta)) < 1e-8


def test_the_same_holds_where_values_are_asked_for() -> None:
    learner, e = Maml(NET, steps=2, rate=0.3), episodes(tasks=2, values=True)
    meta = known(learner)
    assert apart(learner.meta_gradient(meta, e)[0], differences(lambda at: query_loss(learner, at, e), meta)) < 1e-8


def test_emphasis_is_a_weighted_sum_of_the_query_losses_after_each_step() -> None:
    learner = Maml(NET, steps=3, rate=0.3, emphasis=(0.2, 0.0, 0.8))
    meta, e = known(learner), episodes()
    first, last = (replace(learner, steps=steps, emphasis=()) for steps in (1, 3))
    gradient, losses = learner.meta_gradient(meta, e)
    parts = [one.meta_gradient(meta, e)[0] for one in (first, last)]
    assert apart(gradient, {name: 0.2 * parts[0][name] + 0.8 * parts[1][name] for name in gradient}) < 1e-12
    assert torch.equal(losses, last.meta_gradient(meta, e)[1])


def by_hand(learner: Maml, meta: Weights, shown: Labelled, asked: Labelled) -> Tensor:
    """One task's query loss, a step at a time, each inner gradient cut off from what it depends on."""
    module, fast = smooth(), {name.removeprefix("net."): w for name, w in meta.items() if name.startswith("net.")}
    for step in range(learner.steps):
        grads = torch.autograd.grad(
            F.cross_entropy(functional_call(module, fast, (shown.inputs[0],)), shown.targets[0]), list(fast.values())
        )
        rates = {name: meta[f"rate.{name}"][step] if learner.learned == "tensor" else learner.rate for name in fast}
        fast = {name: w - rates[name] * g.detach() for (name, w), g in zip(fast.items(), grads, strict=True)}
    return F.cross_entropy(functional_call(module, fast, (asked.inputs[0],)), asked.targets[0])


@pytest.mark.parametrize("learner", [of("fomaml", steps=3, rate=0.3), of("lslr", steps=3, rate=0.3, order=1)], ids=["fomaml", "lslr"])
def test_first_order_is_the_gradient_with_inner_gradients_cut_off(learner: Maml) -> None:
    meta, e = known(learner), episodes(tasks=1)
    leaves = {name: w.clone().requires_grad_() for name, w in meta.items()}
    wanted = torch.autograd.grad(by_hand(learner, leaves, e.support, e.query), list(leaves.values()))
    assert apart(learner.meta_gradient(meta, e)[0], dict(zip(leaves, wanted, strict=True))) < 1e-12
    second = replace(learner, order=2).meta_gradient(meta, e)[0]
    assert not torch.allclose(second["net.body.weight"], wanted[0], rtol=1e-2)


@pytest.mark.parametrize("learned", ["tensor", "element"])
def test_first_order_learns_the_step_sizes_of_the_last_step_exactly(learned: Any) -> None:
    learner = Maml(NET, steps=1, rate=0.3, learned=learned)
    meta, e = known(learner), episodes()
    second, first = learner.meta_gradient(meta, e)[0], replace(learner, order=1).meta_gradient(meta, e)[0]
    for name in meta:
        assert torch.allclose(first[name], second[name], rtol=0, atol=1e-12) == name.startswith("rate."), name


def test_more_steps_than_were_trained_use_the_last_step_sizes() -> None:
    learner = of("lslr", steps=2, rate=0.3)
    meta, e = known(learner), episodes()
    longer = meta | {name: torch.cat([r, r[-1:].expand(3)]) for name, r in meta.items() if name.startswith("rate.")}
    more = replace(learner, steps=5)
    assert torch.equal(predicted(more, meta, e), predicted(more, longer, e))
    assert not torch.allclose(predicted(more, meta, e), predicted(learner, meta, e))


def test_only_what_is_to_be_adapted_moves() -> None:
    learner = of("anil", steps=2, rate=0.3)
    meta = known(learner)
    for name, stack in learner.adapt(meta, episodes().support).items():
        assert all(torch.equal(w, meta[f"net.{name}"]) != name.startswith("head.") for w in stack[1:]), name


def test_adapting_brings_the_support_loss_down() -> None:
    learner, e = Maml(NET, steps=20, rate=0.3), episodes()
    meta = known(learner)
    before, after = (
        e.support.losses(one.predict(meta, one.adapt(meta, e.support), e.support.asked)) for one in (replace(learner, steps=0), learner)
    )
    assert (after < 0.8 * before).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "steps is -1; 0 or more is wanted"),
        ({"steps": 3, "emphasis": (0.5, 0.5)}, "one weight for each of 3 steps is wanted"),
        ({"steps": 2, "emphasis": (1.0, 0.0)}, "the last above 0"),
        ({"adapts": ("haed.",)}, r"No weight of the net begins with 'haed.'.*Nearest: head.bias, head.weight"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    net = Mlp((2, 3, 3))
    with pytest.raises(SettingsError, match=message):
        Maml(net, **settings).meta_gradient(Maml(net).begin(0), episodes())


@dataclass(frozen=True)
class Attentive:
    """A net that attends from each example to all of its row, by torch's fused attention."""

    def blank(self, seed: int) -> Weights:
        chance = torch.Generator().manual_seed(seed)
        return {name: torch.randn(2, 3, generator=chance, dtype=torch.float64) for name in ("query", "key", "value")}

    def __call__(self, bank: Bank, slots: Tensor, inputs: Tensor) -> Tensor:
        weights = worn(bank, slots)
        q, k, v = ((inputs @ weights[name])[:, None] for name in ("query", "key", "value"))
        return F.scaled_dot_product_attention(q, k, v)[:, 0]


def test_the_second_order_passes_through_attention() -> None:
    learner = Maml(Attentive(), steps=2, rate=0.3)
    meta, e = learner.begin(0), episodes()
    assert apart(learner.meta_gradient(meta, e)[0], differences(lambda at: query_loss(learner, at, e), meta)) < 1e-8


def test_a_step_from_what_maml_learned_is_worth_more_than_from_fresh_weights() -> None:
    learner, tasks = Maml(Mlp((1, 40, 40, 1)), rate=0.01), Sine(shots=10, queries=10)
    fresh = learner.begin(0)
    leaves = {name: w.clone() for name, w in fresh.items()}
    optimiser = torch.optim.Adam(leaves.values(), lr=1e-2)
    for step in range(100):
        gradient, _ = learner.meta_gradient(leaves, tasks.draw("train", 10 * step, 10))
        for name, leaf in leaves.items():
            leaf.grad = gradient[name]
        optimiser.step()
    unseen = tasks.draw("test", 0, 100)
    assert query_loss(learner, leaves, unseen) < 0.8 * query_loss(learner, fresh, unseen)
