import math

import pytest
import torch
from torch import Tensor, nn

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.closeness import Measure
from headstart.learners.metric import Matching, Prototypical
from headstart.learners.neighbour import Neighbour
from headstart.net import Raw, Stacked
from tests.learners.toys import draw

WAYS, WIDTH = 3, 4
NET = Stacked(lambda: nn.Linear(WIDTH, 5).double())


def support(tasks: int = 2, shots: int = 2) -> Labelled:
    return Labelled(draw(tasks, WAYS * shots, WIDTH), torch.arange(WAYS).repeat(shots).expand(tasks, -1))


def asked(tasks: int = 2, n: int = 5) -> Asked:
    return Labelled(draw(tasks, n, WIDTH, seed=1), torch.zeros(tasks, n)).asked


def known(learner: Prototypical | Matching) -> Weights:
    return {name: w.double() for name, w in learner.begin(0).items()}


def features(meta: Weights, x: Tensor) -> Tensor:
    return x @ meta["net.weight"].T + meta["net.bias"]


@pytest.mark.parametrize("measure", ["euclidean", "cosine", "centred"])
def test_prototypes_and_their_scores_equal_a_loop(measure: Measure) -> None:
    learner = Prototypical(NET, measure=measure, scale=7.0)
    meta, shown, query = known(learner), support(), asked()
    fast = learner.adapt(meta, shown)
    scores = learner.predict(meta, fast, query)
    for task in range(2):
        middle = fast[task].mean(0) if measure == "centred" else torch.zeros_like(fast[task, 0])
        for label in range(WAYS):
            members = [x for x, y in zip(shown.inputs[task], shown.targets[task], strict=True) if y == label]
            prototype = sum(features(meta, x) for x in members) / len(members)
            assert torch.allclose(fast[task, label], prototype)
            for i, x in enumerate(query.inputs[task]):
                z = features(meta, x)
                angle = (z - middle) @ (prototype - middle) / (z - middle).norm() / (prototype - middle).norm()
                wanted = -((z - prototype) ** 2).sum() if measure == "euclidean" else 7 * angle
                assert torch.allclose(scores[task, i, label], wanted)


def test_classes_may_have_different_counts() -> None:
    shown = Labelled(draw(1, 4, WIDTH), torch.tensor([[1, 0, 1, 1]]))
    fast = Prototypical(Raw()).adapt({}, shown)
    assert torch.allclose(fast[0], torch.stack([shown.inputs[0, 1], shown.inputs[0, [0, 2, 3]].mean(0)]))


def test_with_one_shot_prototypes_choose_as_the_nearest_neighbour_does() -> None:
    learner, shown, query = Prototypical(NET), support(shots=1), asked(n=50)
    meta, neighbour = known(learner), Neighbour(NET)
    chosen = learner.predict(meta, learner.adapt(meta, shown), query).argmax(2)
    assert torch.equal(chosen, neighbour.predict(meta, neighbour.adapt(meta, shown), query).argmax(2))
    assert len(chosen.unique()) == WAYS


def test_matching_equals_a_loop() -> None:
    learner = Matching(NET, scale=3.0)
    meta, shown, query = known(learner), support(), asked()
    scores = learner.predict(meta, learner.adapt(meta, shown), query)
    for task in range(2):
        for i, x in enumerate(query.inputs[task]):
            z, weights = features(meta, x), []
            for s in shown.inputs[task]:
                g = features(meta, s)
                weights.append(math.exp(3 * float(z @ g / z.norm() / g.norm())))
            for label in range(WAYS):
                chance = sum(w for w, y in zip(weights, shown.targets[task], strict=True) if y == label) / sum(weights)
                assert scores[task, i, label].item() == pytest.approx(math.log(chance))


def test_a_sharp_attention_has_finite_losses_and_gradients() -> None:
    learner = Matching(NET, scale=1e4)
    query = Labelled(asked().inputs, torch.ones(2, 5, dtype=torch.int64))
    gradient, losses = learner.meta_gradient(known(learner), Episodes(support(), query))
    assert losses.max() > 100
    assert all(torch.isfinite(t).all() for t in (losses, *gradient.values()))


def cell_of(meta: Weights, name: str, width: int) -> nn.LSTMCell:
    """PyTorch's own LSTM with these weights; inputs come before what recurs."""
    weight, bias = meta[f"{name}.weight"], meta[f"{name}.bias"]
    cell = nn.LSTMCell(weight.shape[1] - width, width).double().requires_grad_(False)
    cell.load_state_dict(
        {"weight_ih": weight[:, :-width], "weight_hh": weight[:, -width:], "bias_ih": bias, "bias_hh": torch.zeros_like(bias)}
    )
    return cell


def test_contexts_equal_a_loop_over_pytorchs_lstm() -> None:
    learner, width = Matching(NET, context=3, features=5), 5
    meta, shown, query = known(learner), support(), asked()
    scores = learner.predict(meta, learner.adapt(meta, shown), query)
    zero = torch.zeros(1, width, dtype=torch.float64)
    for task in range(2):
        alone = [features(meta, s)[None] for s in shown.inputs[task]]
        g = [z.clone() for z in alone]
        for name, order in (("forward", range(6)), ("backward", reversed(range(6)))):
            state, cell = (zero, zero), cell_of(meta, name, width)
            for i in order:
                state = cell(alone[i], state)
                g[i] = g[i] + state[0]
        whole = torch.cat(g)
        for i, x in enumerate(query.inputs[task]):
            z = features(meta, x)[None]
            h, c, asking = z, zero, cell_of(meta, "asking", width)
            for _ in range(3):
                read = torch.softmax(h @ whole.T, dim=1) @ whole
                # Our recurrent part is output and read; PyTorch's is one width, so the output goes in as an input.
                out, c = asking(torch.cat([z, h], dim=1), (read, c))
                h = out + z
            attention = torch.softmax(10 * nn.functional.cosine_similarity(h, whole), dim=0)
            wanted = [attention[shown.targets[task] == label].sum().log() for label in range(WAYS)]
            assert torch.allclose(scores[task, i], torch.stack(wanted))


@pytest.mark.parametrize("measure", ["euclidean", "cosine", "centred"])
def test_prototypes_learn_which_direction_tells_classes_apart(measure: Measure) -> None:
    # The classes differ along the first axis alone, and the others are louder.
    chance = torch.Generator().manual_seed(0)

    def side(n: int) -> Labelled:
        targets = torch.arange(n).remainder(2).expand(10, -1)
        inputs = 3 * torch.randn(10, n, 8, generator=chance)
        inputs[..., 0] = 2.0 * targets - 1 + 0.1 * torch.randn(10, n, generator=chance)
        return Labelled(inputs, targets)

    learner = Prototypical(Stacked(lambda: nn.Linear(8, 4)), measure=measure)
    meta, unseen = learner.begin(0), Episodes(side(2), side(30))
    optimiser = torch.optim.Adam([w.requires_grad_() for w in meta.values()], lr=0.05)
    before = learner.meta_gradient(meta, unseen)[1].mean()
    for _ in range(80):
        gradient, _ = learner.meta_gradient(meta, Episodes(side(2), side(10)))
        for name, w in meta.items():
            w.grad = gradient[name]
        optimiser.step()
    after = learner.meta_gradient(meta, unseen)[1].mean()
    assert before > 0.6
    assert after < 0.2
