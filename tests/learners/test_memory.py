import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.memory import Mann, Memory, State
from tests.learners.toys import clusters, draw

WAYS, WIDTH = 3, 4
SMALL = Mann(features=WIDTH, ways=WAYS, hidden=6, places=7, width=4, heads=2)


def known(learner: Mann) -> Weights:
    # Louder than fresh weights, so that what matters shows.
    return {name: w.double() * (1 if name == "log_scale" else 3) for name, w in learner.begin(0).items()}


def episodes(tasks: int = 2) -> Episodes:
    sides = (Labelled(draw(tasks, n, WIDTH, seed=n), (draw(tasks, n, seed=n + 9) * 5).long() % WAYS) for n in (6, 5))
    return Episodes(*sides)


def access_by_loop(
    content: list[list[float]], usage: list[float], attention: list[list[float]], keys: list[list[float]], gates: list[float], decay: float
) -> tuple[list[list[float]], list[float], list[list[float]], list[list[float]]]:
    """Equations 2 to 8 of the paper, place by place."""
    places, heads = len(usage), len(keys)
    by_use = sorted(range(places), key=lambda i: usage[i])[:heads]
    content = [[0.0] * len(row) if i in by_use else list(row) for i, row in enumerate(content)]
    writing = [[gates[h] * attention[h][i] + (1 - gates[h]) * (i == by_use[h]) for i in range(places)] for h in range(heads)]
    for h in range(heads):
        for i in range(places):
            content[i] = [m + writing[h][i] * k for m, k in zip(content[i], keys[h], strict=True)]
    reading, reads = [], []
    for h in range(heads):
        cosines = []
        for row in content:
            size = math.hypot(*row) * math.hypot(*keys[h])
            cosines.append(sum(m * k for m, k in zip(row, keys[h], strict=True)) / size if size else 0.0)
        total = sum(math.exp(c) for c in cosines)
        reading.append([math.exp(c) / total for c in cosines])
        reads.append([sum(reading[h][i] * content[i][j] for i in range(places)) for j in range(len(keys[h]))])
    used = [decay * usage[i] + sum(reading[h][i] + writing[h][i] for h in range(heads)) for i in range(places)]
    return content, used, reading, reads


@pytest.mark.parametrize("heads", [1, 3])
def test_access_equals_the_papers_equations_place_by_place(heads: int) -> None:
    tasks, places, width, decay = 2, 5, 3, 0.8
    memory = Memory.empty(draw(1), tasks, heads, places, width)
    loops = [([[0.0] * width] * places, [0.0] * places, [[0.0] * places] * heads) for _ in range(tasks)]
    for step in range(9):
        keys, gates = draw(tasks, heads, width, seed=step), torch.sigmoid(draw(tasks, heads, seed=step + 50))
        memory = memory.access(keys, gates, torch.ones(()), decay)
        for task in range(tasks):
            *loops[task], reads = access_by_loop(*loops[task], keys[task].tolist(), gates[task].tolist(), decay)  # type: ignore[call-overload]
            got = (memory.content[task], memory.usage[task], memory.attention[task], memory.read[task])
            for ours, wanted in zip(got, (*loops[task], reads), strict=True):
                assert torch.allclose(ours, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-9), step


def test_what_is_written_is_found_again_by_its_key() -> None:
    memory, keys = Memory.empty(draw(1), 1, 1, 8, 16), draw(4, 1, 1, 16)
    for key in keys:
        memory = memory.access(key, torch.zeros(1, 1).double(), torch.tensor(50.0), 0.95)
    places = {int(memory.access(key, torch.zeros(1, 1).double(), torch.tensor(50.0), 0.95).attention.argmax()) for key in keys}
    assert places == {0, 1, 2, 3}


def network_by_loop(learner: Mann, meta: Weights, shown: Labelled, asked: Tensor) -> Tensor:
    """One task's answer to one query: example after example, by PyTorch's own LSTM; only the memory is ours, as it has a twin."""
    weight, bias, hidden = meta["controller.weight"], meta["controller.bias"], learner.hidden
    cell = nn.LSTMCell(weight.shape[1] - hidden, hidden).double().requires_grad_(False)
    cell.load_state_dict(
        {"weight_ih": weight[:, :-hidden], "weight_hh": weight[:, -hidden:], "bias_ih": bias, "bias_hh": torch.zeros_like(bias)}
    )
    memory = Memory.empty(asked, 1, learner.heads, learner.places, learner.width)
    state, label, output = (torch.zeros(1, hidden).double(),) * 2, torch.zeros(WAYS).double(), torch.zeros(WAYS).double()
    answers = [*shown.targets[0].tolist(), 0]
    for x, answer in zip((*shown.inputs[0], asked), answers, strict=True):
        state = cell(torch.cat([x, label, memory.read.flatten()])[None], state)
        h = state[0][0]
        keys = torch.tanh(meta["key.weight"] @ h + meta["key.bias"]).view(1, learner.heads, learner.width)
        gates = torch.sigmoid(meta["gate.weight"] @ h + meta["gate.bias"])[None]
        memory = memory.access(keys, gates, meta["log_scale"].exp(), learner.decay)
        output = meta["answer.weight"] @ torch.cat([h, memory.read.flatten()]) + meta["answer.bias"]
        label = torch.eye(WAYS).double()[answer]
    return output


def test_the_network_equals_a_loop_over_pytorchs_lstm() -> None:
    meta, e = known(SMALL), episodes(1)
    scores = SMALL.predict(meta, SMALL.adapt(meta, e.support), e.query.asked)
    for i, x in enumerate(e.query.inputs[0]):
        assert torch.allclose(scores[0, i], network_by_loop(SMALL, meta, e.support, x), rtol=0, atol=1e-12)


def cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    return scores.logsumexp(0) - scores[target]


def episode_by_loop(learner: Mann, meta: Weights, e: Episodes) -> Tensor:
    """The mean over an episode's predictions, each of them asked as a query after what came before it."""
    nothing = Memory.empty(e.support.inputs, 1, learner.heads, learner.places, learner.width)
    start = State(nothing, *(torch.zeros(*shape).double() for shape in ((2, 1, learner.hidden), (1, WAYS), (1, WIDTH))))
    asked = lambda side, i: Asked(torch.tensor([1]), side.inputs[:, i : i + 1])  # noqa: E731
    losses = []
    for i in range(6):
        before = Labelled(e.support.inputs[:, :i], e.support.targets[:, :i])
        fast = learner.adapt(meta, before) if i else start
        losses.append(cross_entropy(learner.predict(meta, fast, asked(e.support, i))[0, 0], e.support.targets[0, i]))
    fast = learner.adapt(meta, e.support)
    for i in range(5):
        losses.append(cross_entropy(learner.predict(meta, fast, asked(e.query, i))[0, 0], e.query.targets[0, i]))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
def test_a_whole_episode_is_trained_on_with_each_answer_seen_only_after_it_was_asked(controller: str) -> None:
    learner = replace(SMALL, controller=controller)
    meta, e = known(learner), episodes(1)
    leaves = {name: w.clone().requires_grad_() for name, w in meta.items()}
    wanted = torch.autograd.grad(episode_by_loop(learner, leaves, e), list(leaves.values()))
    gradient, losses = learner.meta_gradient(meta, e)
    for (name, g), w in zip(gradient.items(), wanted, strict=True):
        assert torch.allclose(g, w, rtol=0, atol=1e-12), name
    assert torch.equal(losses, e.query.losses(learner.predict(meta, learner.adapt(meta, e.support), e.query.asked)))
    assert not torch.allclose(replace(learner, whole=False).meta_gradient(meta, e)[0]["key.weight"], gradient["key.weight"])


@pytest.mark.parametrize("part", ["memory", "label", "carry"])
def test_every_part_of_the_state_reaches_the_prediction(part: str) -> None:
    meta, e = known(SMALL), episodes(1)
    fast = SMALL.adapt(meta, e.support)
    empty = Memory.empty(e.support.inputs, 1, SMALL.heads, SMALL.places, SMALL.width)
    without = {"memory": empty, "label": torch.zeros_like(fast.label), "carry": torch.zeros_like(fast.carry)}[part]
    whole, less = (SMALL.predict(meta, state, e.query.asked) for state in (fast, replace(fast, **{part: without})))
    assert not torch.allclose(whole, less, rtol=0, atol=1e-4)


def test_centred_it_sees_how_inputs_differ_from_the_mean_of_the_support() -> None:
    learner = replace(SMALL, centred=True)
    meta, e = known(SMALL), episodes()
    got = learner.predict(meta, learner.adapt(meta, e.support), e.query.asked)
    centre = e.support.inputs.mean(1, keepdim=True)
    support, query = (replace(side, inputs=side.inputs - centre) for side in (e.support, e.query))
    assert torch.allclose(got, SMALL.predict(meta, SMALL.adapt(meta, support), query.asked), rtol=0, atol=1e-12)
    assert not torch.allclose(got, SMALL.predict(meta, SMALL.adapt(meta, e.support), e.query.asked), rtol=0, atol=1e-3)
    alone = Asked(e.query.asked.slots[1:], e.query.inputs[1:, 2:3])
    assert torch.allclose(learner.predict(meta, learner.adapt(meta, e.support), alone), got[1:, 2:3], rtol=0, atol=1e-12)


def test_without_a_state_of_its_own_the_controller_leaves_all_to_the_memory() -> None:
    learner = replace(SMALL, controller="feedforward")
    meta, e = known(learner), episodes(1)
    fast = learner.adapt(meta, e.support)
    forgetful = replace(fast, carry=torch.zeros_like(fast.carry))
    assert torch.equal(learner.predict(meta, fast, e.query.asked), learner.predict(meta, forgetful, e.query.asked))


def test_renaming_classes_and_the_networks_labels_together_permutes_the_scores() -> None:
    meta, e, label = known(SMALL), episodes(), torch.tensor([2, 0, 1])
    renamed = dict(meta)
    renamed["answer.weight"], renamed["answer.bias"] = torch.empty_like(meta["answer.weight"]), torch.empty_like(meta["answer.bias"])
    renamed["answer.weight"][label], renamed["answer.bias"][label] = meta["answer.weight"], meta["answer.bias"]
    renamed["controller.weight"] = meta["controller.weight"].clone()
    renamed["controller.weight"][:, WIDTH + label] = meta["controller.weight"][:, WIDTH : WIDTH + WAYS]
    shown = Labelled(e.support.inputs, label[e.support.targets])
    got = SMALL.predict(renamed, SMALL.adapt(renamed, shown), e.query.asked)
    assert torch.allclose(got[..., label], SMALL.predict(meta, SMALL.adapt(meta, e.support), e.query.asked), rtol=0, atol=1e-12)


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
def test_it_learns_to_bind_answers_to_examples(controller: Literal["lstm", "feedforward"]) -> None:
    learner = Mann(features=4, ways=2, controller=controller, hidden=24, places=6, width=8, heads=1, scale=5.0, whole=False)
    meta, unseen = learner.begin(0), clusters(-1, 100)
    optimiser = torch.optim.Adam([w.requires_grad_() for w in meta.values()], lr=0.02)
    before = learner.meta_gradient(meta, unseen)[1].mean()
    for step in range(200):
        gradient, _ = learner.meta_gradient(meta, clusters(step, 8))
        for name, w in meta.items():
            w.grad = gradient[name]
        optimiser.step()
    after = learner.meta_gradient(meta, unseen)[1].mean()
    assert before > 0.65
    assert after < 0.4, f"{after}: guessing costs 0.69"
