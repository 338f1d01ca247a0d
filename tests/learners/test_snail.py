import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headstart.bank import Weights
from headstart.episode import Episodes, Labelled
from headstart.learners.parts import part
from headstart.learners.snail import Attention, Dense, Snail
from headstart.net import Raw, Stacked
from tests.learners.toys import clusters, draw

WAYS, WIDTH, SHOWN, ASKED = 3, 4, 6, 5
SMALL = Snail(Raw(), features=WIDTH, ways=WAYS, length=SHOWN + 1, filters=3, attention=((3, 2), (4, 3), (2, 4)))


def known(learner: Snail) -> Weights:
    return {name: w.double() * 2 for name, w in learner.begin(0).items()}


def episodes(tasks: int = 2) -> Episodes:
    targets = torch.stack([torch.arange(SHOWN).roll(i) % WAYS for i in range(tasks)])
    return Episodes(Labelled(draw(tasks, SHOWN, WIDTH), targets), Labelled(draw(tasks, ASKED, WIDTH, seed=1), targets[:, :ASKED]))


def convolved_by_torch(weights: Weights, x: Tensor, dilation: int) -> Tensor:
    """The dense block on one sequence (positions, channels) by PyTorch's own convolution, padded on the left."""
    weight, before = weights["gates.weight"], F.pad(x.T, (dilation, 0))
    taps = torch.stack(weight.chunk(2, dim=1), dim=2)
    signal, gate = F.conv1d(before[None], taps, weights["gates.bias"], dilation=dilation)[0].T.chunk(2, dim=1)
    return torch.tanh(signal) * torch.sigmoid(gate)


def attended_by_loop(weights: Weights, x: Tensor) -> Tensor:
    """The attention block on one sequence (positions, channels), position by position."""
    key, query, value = (x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"] for name in ("key", "query", "value"))
    reads = []
    for t in range(len(x)):
        attention = torch.softmax(key[: t + 1] @ query[t] / math.sqrt(key.shape[1]), dim=0)
        reads.append(attention @ value[: t + 1])
    return torch.stack(reads)


def sequence_by_loop(meta: Weights, x: Tensor) -> Tensor:
    """SMALL on one whole sequence of embeddings and answers: all channels of every position."""
    plan = [("attention0", 0)]
    for block in (1, 2):
        plan += [(f"convolution{block}_{i}", dilation) for i, dilation in enumerate((1, 2, 4))] + [(f"attention{block}", 0)]
    for name, dilation in plan:
        weights = part(name, meta)
        x = torch.cat([x, convolved_by_torch(weights, x, dilation) if dilation else attended_by_loop(weights, x)], dim=1)
    return x


def test_each_query_equals_a_whole_sequence_of_its_own() -> None:
    meta, e = known(SMALL), episodes()
    fast = SMALL.adapt(meta, e.support)
    scores = SMALL.predict(meta, fast, e.query.asked)
    for task in range(2):
        shown = torch.cat([e.support.inputs[task], F.one_hot(e.support.targets[task], WAYS).double()], dim=1)
        assert torch.allclose(fast[task], sequence_by_loop(meta, shown), rtol=0, atol=1e-12)
        for i in range(ASKED):
            asked = torch.cat([e.query.inputs[task, i], torch.zeros(WAYS).double()])[None]
            last = sequence_by_loop(meta, torch.cat([shown, asked]))[-1]
            assert torch.allclose(scores[task, i], last @ meta["answer.weight"].T + meta["answer.bias"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", [Dense(1, 3), Dense(2, 3), Dense(9, 3), Attention(2, 3)], ids=str)
def test_a_later_position_reaches_no_earlier_one(layer: Dense | Attention) -> None:
    weights = {name: w.double() for name, w in layer.begin(4, torch.Generator().manual_seed(0)).items()}
    x = draw(2, 6, 4)
    before = layer.along(weights, x)
    for t in range(6):
        changed = x.clone()
        changed[:, t] += 1
        after = layer.along(weights, changed)
        assert torch.equal(after[:, :t], before[:, :t])
        assert not torch.allclose(after[:, t], before[:, t])


def test_a_later_example_reaches_no_earlier_position_of_the_whole_network() -> None:
    meta, support = known(SMALL), episodes().support
    before = SMALL.adapt(meta, support)
    for t in range(SHOWN):
        inputs, targets = support.inputs.clone(), support.targets.clone()
        inputs[:, t] += 1
        targets[:, t] = (targets[:, t] + 1) % WAYS
        after = SMALL.adapt(meta, Labelled(inputs, targets))
        assert torch.allclose(after[:, :t], before[:, :t], rtol=0, atol=1e-14)
        assert not torch.allclose(after[:, -1], before[:, -1], rtol=0, atol=1e-6)


def test_without_attention_the_convolutions_alone_reach_the_first_example() -> None:
    # Keys and values of width 1, the values' weights zero: attention adds constants.
    learner = replace(SMALL, attention=((1, 1), (1, 1)))
    meta = {name: w * ("value" not in name) for name, w in known(learner).items()}
    e = episodes()
    moved = Labelled(e.support.inputs + torch.eye(SHOWN).double()[0][:, None], e.support.targets)
    whole, other = (learner.predict(meta, learner.adapt(meta, s), e.query.asked) for s in (e.support, moved))
    assert not torch.allclose(whole, other, rtol=0, atol=1e-9)


def test_a_support_longer_than_planned_still_works() -> None:
    meta = known(SMALL)
    support = Labelled(draw(1, 40, WIDTH), torch.arange(40)[None] % WAYS)
    assert torch.isfinite(SMALL.predict(meta, SMALL.adapt(meta, support), episodes(1).query.asked)).all()


def test_renaming_classes_and_the_networks_labels_together_permutes_the_scores() -> None:
    meta, e, label = known(SMALL), episodes(), torch.tensor([2, 0, 1])
    renamed = {name: w.clone() for name, w in meta.items()}
    for name, w in meta.items():
        taps = [0, w.shape[1] // 2] if "gates.weight" in name else [0] if w.dim() == 2 else []
        for start in taps:
            at = start + WIDTH
            renamed[name][:, at + label] = w[:, at : at + WAYS]
    for name in ("answer.weight", "answer.bias"):
        renamed[name][label] = renamed[name].clone()
    shown = Labelled(e.support.inputs, label[e.support.targets])
    got = SMALL.predict(renamed, SMALL.adapt(renamed, shown), e.query.asked)
    assert torch.allclose(got[..., label], SMALL.predict(meta, SMALL.adapt(meta, e.support), e.query.asked), rtol=0, atol=1e-12)


def test_it_learns_to_compare_a_query_with_the_support() -> None:
    learner = Snail(Stacked(lambda: nn.Linear(4, 6)), features=6, ways=2, length=5, filters=8, attention=((8, 8), (8, 8)))
    meta, unseen = learner.begin(0), clusters(-1, 100)
    optimiser = torch.optim.Adam([w.requires_grad_() for w in meta.values()], lr=0.01)
    before = learner.meta_gradient(meta, unseen)[1].mean()
    for step in range(60):
        gradient, _ = learner.meta_gradient(meta, clusters(step, 12))
        for name, w in meta.items():
            w.grad = gradient[name]
        optimiser.step()
    after = learner.meta_gradient(meta, unseen)[1].mean()
    assert before > 0.65
    assert after < 0.25, f"{after}: guessing costs 0.69"
