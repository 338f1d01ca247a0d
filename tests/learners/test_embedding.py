"""What holds for every learner whose embedding is shared by all tasks, and for what they have in common."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headstart.bank import Weights
from headstart.conv import Conv4
from headstart.episode import Asked, Episodes, Labelled
from headstart.errors import BankError, TasksError
from headstart.learners.embedding import codes, embed
from headstart.learners.learner import Learner
from headstart.learners.memory import Mann
from headstart.learners.metric import Matching, Prototypical
from headstart.learners.neighbour import Neighbour
from headstart.learners.one_by_one import OneByOne
from headstart.learners.snail import Snail
from headstart.net import Raw, Stacked
from tests.learners.toys import each, picked, predicted

TASKS, WAYS, SHOTS, ASKED, WIDTH = 3, 3, 2, 4, 4
NET = Stacked(lambda: nn.Sequential(nn.Linear(WIDTH, 5), nn.Tanh()).double())
SMALL: dict[str, Any] = {"hidden": 6, "places": 7, "width": 4, "heads": 2}
METRIC: dict[str, Learner] = {
    "prototypes": Prototypical(NET),
    "prototypes by cosine": Prototypical(NET, measure="cosine"),
    "prototypes from the middle": Prototypical(NET, measure="centred"),
    "matching": Matching(NET),
    "neighbour": Neighbour(NET),
}
NETWORKS: dict[str, Learner] = {
    "mann": Mann(NET, features=5, ways=WAYS, whole=False, **SMALL),
    "mann without a state": Mann(NET, features=5, ways=WAYS, whole=False, controller="feedforward", **SMALL),
    "snail": Snail(NET, features=5, ways=WAYS, length=7, filters=3, attention=((3, 2), (4, 3))),
}
LEARNERS = METRIC | {"matching in context": Matching(NET, context=2, features=5)} | NETWORKS
LEARNED = {name: learner for name, learner in LEARNERS.items() if name != "neighbour"}


def known(learner: Learner) -> Weights:
    return {name: w.double() for name, w in learner.begin(0).items()}


def episodes(seed: int = 0) -> Episodes:
    chance = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randn(TASKS, n, WIDTH, generator=chance, dtype=torch.float64)  # noqa: E731
    orders = torch.stack([torch.randperm(WAYS * SHOTS, generator=chance) for _ in range(TASKS)])
    targets = torch.randint(0, WAYS, (TASKS, ASKED), generator=chance)
    return Episodes(Labelled(draw(WAYS * SHOTS), orders % WAYS), Labelled(draw(ASKED), targets))


def close(left: Tensor, right: Tensor) -> bool:
    return torch.allclose(left, right, rtol=0, atol=1e-12)


@each(LEARNERS)
def test_tasks_together_equal_tasks_alone(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    together = predicted(learner, meta, e)
    gradient, losses = learner.meta_gradient(meta, e)
    alone = [learner.meta_gradient(meta, e.part([i])) for i in range(TASKS)]
    for i in range(TASKS):
        assert close(together[i], predicted(learner, meta, e.part([i]))[0])
        assert close(losses[i], alone[i][1][0])
    for name, g in gradient.items():
        assert close(g, torch.stack([one[name] for one, _ in alone]).mean(0)), name


@each(LEARNERS)
def test_permuting_tasks_permutes_predictions(learner: Learner) -> None:
    meta, e, order = known(learner), episodes(), [2, 0, 1]
    assert close(predicted(learner, meta, picked(e, order)), predicted(learner, meta, e)[order])


@each(LEARNERS)
def test_a_row_is_answered_for_the_task_that_it_names(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    fast, slots = learner.adapt(meta, e.support), torch.tensor([3, 1, 3, 2])
    got = learner.predict(meta, fast, Asked(slots, e.query.inputs[slots - 1]))
    assert close(got, learner.predict(meta, fast, e.query.asked)[slots - 1])


@each(LEARNERS)
def test_a_query_does_not_reach_another(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    fast, whole = learner.adapt(meta, e.support), predicted(learner, meta, e)
    for i in range(ASKED):
        alone = learner.predict(meta, fast, Asked(e.query.asked.slots, e.query.inputs[:, i : i + 1]))
        assert close(alone[:, 0], whole[:, i])


@each(LEARNERS)
def test_the_support_reaches_predictions_and_the_querys_answers_reach_the_losses_alone(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    other = replace(e, query=replace(e.query, targets=(e.query.targets + 1) % WAYS))
    assert torch.equal(predicted(learner, meta, e), predicted(learner, meta, other))
    assert not close(learner.meta_gradient(meta, e)[1], learner.meta_gradient(meta, other)[1])
    shown = replace(e, support=replace(e.support, targets=(e.support.targets + 1) % WAYS))
    assert not close(predicted(learner, meta, e), predicted(learner, meta, shown))


@each(LEARNED)
def test_the_meta_gradient_agrees_with_finite_differences(learner: Learner) -> None:
    meta, e, step = known(learner), episodes(), 1e-6
    gradient, losses = learner.meta_gradient(meta, e)
    loss = lambda m: e.query.losses(predicted(learner, m, e))  # noqa: E731
    assert close(losses, loss(meta))
    for name, w in meta.items():
        way = torch.randn(w.shape, dtype=w.dtype)
        up, down = (loss(meta | {name: w + sign * step * way}).mean() for sign in (1, -1))
        assert torch.allclose((gradient[name] * way).sum(), (up - down) / (2 * step), rtol=1e-5, atol=1e-9), name
    assert any(g.abs().max() > 1e-3 for g in gradient.values())


@each(LEARNERS)
def test_a_meta_gradient_has_every_name_leaves_meta_as_it_is_and_keeps_no_graph(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    before = {name: w.clone() for name, w in meta.items()}
    gradient, losses = learner.meta_gradient(meta, e)
    assert {name: g.shape for name, g in gradient.items()} == {name: w.shape for name, w in meta.items()}
    assert all(torch.equal(w, before[name]) and not w.requires_grad for name, w in meta.items())
    assert not any(t.requires_grad for t in (*gradient.values(), losses, predicted(learner, meta, e)))


@each(LEARNERS)
def test_beginning_is_reproducible_and_leaves_the_global_stream_alone(learner: Learner) -> None:
    stream = torch.get_rng_state()
    first, again, other = learner.begin(1), learner.begin(1), learner.begin(2)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(w, again[name]) for name, w in first.items())
    assert not any(torch.equal(w, other[name]) for name, w in first.items() if name != "log_scale")


@each(METRIC)
def test_the_order_of_the_support_does_not_matter(learner: Learner) -> None:
    meta, e, order = known(learner), episodes(), [3, 1, 5, 0, 4, 2]
    shuffled = Labelled(e.support.inputs[:, order], e.support.targets[:, order])
    assert close(predicted(learner, meta, replace(e, support=shuffled)), predicted(learner, meta, e))


@each({name: NETWORKS[name] for name in ("mann", "snail")} | {"matching in context": LEARNERS["matching in context"]})
def test_a_sequence_learner_may_depend_on_the_order_of_the_support(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    shuffled = Labelled(e.support.inputs.flip(1), e.support.targets.flip(1))
    assert not torch.allclose(predicted(learner, meta, replace(e, support=shuffled)), predicted(learner, meta, e), rtol=0, atol=1e-6)


@each(METRIC | {"matching in context": LEARNERS["matching in context"]})
def test_relabelling_classes_permutes_the_scores(learner: Learner) -> None:
    meta, e, label = known(learner), episodes(), torch.tensor([2, 0, 1])
    relabelled = replace(e, support=replace(e.support, targets=label[e.support.targets]))
    assert close(predicted(learner, meta, relabelled)[..., label], predicted(learner, meta, e))


@each({name: NETWORKS[name] for name in ("mann", "snail")} | {"neighbour": METRIC["neighbour"]})
def test_values_are_learned_as_classes_are(learner: Learner) -> None:
    meta, e = known(learner), episodes()
    values = Episodes(*(Labelled(side.inputs, side.inputs[..., :WAYS].sin()) for side in (e.support, e.query)))
    gradient, losses = learner.meta_gradient(meta, values)
    assert predicted(learner, meta, values).shape == (TASKS, ASKED, WAYS)
    assert torch.isfinite(losses).all()
    assert all(torch.isfinite(g).all() for g in gradient.values())


@each({name: METRIC[name] for name in ("prototypes", "matching")})
def test_tasks_that_ask_for_values_are_refused_by_learners_of_classes(learner: Learner) -> None:
    with pytest.raises(TasksError, match="choose maml"):
        learner.adapt(known(learner), Labelled(torch.zeros(1, 2, WIDTH).double(), torch.zeros(1, 2, 1)))


@each({name: METRIC[name] for name in ("prototypes", "matching")})
def test_a_class_without_an_example_is_named(learner: Learner) -> None:
    targets = torch.tensor([[0, 1, 2], [0, 2, 2]])
    with pytest.raises(TasksError, match="Task 1 of the batch shows no example of class 1 of 3"):
        learner.adapt(known(learner), Labelled(torch.zeros(2, 3, WIDTH).double(), targets))


@each({name: NETWORKS[name] for name in ("mann", "snail")})
def test_more_classes_or_other_values_than_a_network_was_built_for_are_refused(learner: Learner) -> None:
    inputs = torch.zeros(1, 4, WIDTH).double()
    for targets in (torch.tensor([[0, 1, 2, 3]]), torch.zeros(1, 4, 4).double()):
        with pytest.raises(TasksError, match=r"have 4 .* built for 3: set its ways to 4"):
            learner.adapt(known(learner), Labelled(inputs, targets))
    with pytest.raises(TasksError, match=r"have 1 .* built for 3"):
        learner.adapt(known(learner), Labelled(inputs, torch.zeros(1, 4, 1).double()))


@each({"mann": Mann(NET, features=6), "snail": Snail(NET, features=6), "matching in context": Matching(NET, features=6, context=1)})
def test_a_net_of_another_width_is_refused(learner: Learner) -> None:
    with pytest.raises(BankError, match="gives 5 features and the learner was built for 6"):
        learner.adapt(known(learner), episodes().support)


def test_raw_inputs_are_flattened_and_need_no_weights() -> None:
    images = torch.arange(24.0).view(1, 2, 3, 2, 2)
    assert torch.equal(embed(Raw(), {}, images), images.view(1, 2, 12))
    gradient, losses = Prototypical(Raw()).meta_gradient({}, episodes())
    assert gradient == {}
    assert losses.shape == (TASKS,)


def test_each_row_is_embedded_by_itself_where_a_net_normalises_its_batch() -> None:
    net = Stacked(lambda: nn.Sequential(nn.Linear(WIDTH, 5), nn.BatchNorm1d(5, track_running_stats=False)).double())
    learner, e = Prototypical(net), episodes()
    meta = known(learner)
    moved = replace(e, query=replace(e.query, inputs=e.query.inputs + 7))
    assert torch.equal(learner.adapt(meta, e.support), learner.adapt(meta, moved.support))
    assert close(predicted(learner, meta, e)[0], predicted(learner, meta, e.part([0]))[0])


def test_images_are_embedded_by_a_convolutional_net_and_may_be_asked_one_by_one() -> None:
    net = Conv4(ways=None, filters=3, size=16)
    e = episodes()
    images = lambda side: side.inputs[..., :1, None, None] * torch.ones(1, 16, 16).double().tril()  # noqa: E731
    e = Episodes(
        *(Labelled(images(side) + torch.randn(TASKS, side.inputs.shape[1], 1, 16, 16), side.targets) for side in (e.support, e.query))
    )
    snail = Snail(net, features=3, ways=WAYS, length=7, filters=3, attention=((3, 2), (4, 3)))
    for learner in (Prototypical(net), Matching(net), snail):
        meta, alone = known(learner), OneByOne(learner)
        assert close(predicted(learner, meta, e)[1:2], predicted(learner, meta, e.part([1])))
        fast, query = alone.adapt(meta, e.support), e.query.inputs
        whole = alone.predict(meta, fast, e.query.asked)
        assert whole.shape == (TASKS, ASKED, WAYS)
        assert close(whole[:, 2:3], alone.predict(meta, fast, Asked(e.query.asked.slots, query[:, 2:3])))
        assert not close(whole, predicted(learner, meta, e))


def test_codes_are_one_hot_for_classes_and_values_as_they_are() -> None:
    assert codes(torch.tensor([[1, 0]]), 3, torch.float64).tolist() == [[[0, 1, 0], [1, 0, 0]]]
    assert codes(torch.tensor([[[0.5, 2.0]]]), 2, torch.float64).tolist() == [[[0.5, 2.0]]]
