import pytest
import torch
from torch import Tensor, nn

from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.closeness import Measure
from headstart.learners.neighbour import Neighbour
from headstart.net import Stacked
from tests.learners.toys import draw


def distance(measure: Measure, a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() if measure == "euclidean" else 1 - a @ b / a.norm() / b.norm())


@pytest.mark.parametrize("measure", ["euclidean", "cosine"])
def test_the_class_chosen_is_that_of_the_closest_example(measure: Measure) -> None:
    learner, support, query = Neighbour(measure=measure), draw(3, 6, 2, 2), draw(3, 20, 2, 2, seed=1)
    targets = torch.tensor([0, 1, 2, 2, 1, 0]).expand(3, -1)
    scores = learner.predict({}, learner.adapt({}, Labelled(support, targets)), Asked(torch.tensor([1, 2, 3]), query))
    for task in range(3):
        for i in range(20):
            away = [distance(measure, query[task, i].flatten(), s.flatten()) for s in support[task]]
            assert scores[task, i].argmax() == targets[task, away.index(min(away))]


def test_a_classs_score_is_the_closeness_of_its_closest_example() -> None:
    learner = Neighbour()
    support = Labelled(torch.tensor([[[0.0], [4.0], [1.0], [9.0]]]), torch.tensor([[1, 1, 0, 0]]))
    scores = learner.predict({}, learner.adapt({}, support), Asked(torch.tensor([1]), torch.tensor([[[3.0]]])))
    assert torch.allclose(scores, torch.tensor([[[-4.0, -1.0]]]))


def test_a_value_is_that_of_the_closest_example() -> None:
    learner = Neighbour()
    support = Labelled(torch.tensor([[[0.0], [4.0]]]), torch.tensor([[[5.0, 6.0], [7.0, 8.0]]]))
    values = learner.predict({}, learner.adapt({}, support), Asked(torch.tensor([1]), torch.tensor([[[3.0], [1.0]]])))
    assert values.tolist() == [[[7.0, 8.0], [5.0, 6.0]]]


def test_a_trained_net_changes_who_is_closest() -> None:
    net = Stacked(lambda: nn.Linear(2, 1, bias=False).double())
    learner, support = Neighbour(net), Labelled(torch.tensor([[[0.0, 9.0], [3.0, 0.0]]]).double(), torch.tensor([[0, 1]]))
    asked = Asked(torch.tensor([1]), torch.tensor([[[1.0, 1.0]]]).double())
    for weight, chosen in (([1.0, 0.0], 0), ([0.0, 1.0], 1)):
        meta = {"net.weight": torch.tensor([weight]).double()}
        assert learner.predict(meta, learner.adapt(meta, support), asked).argmax() == chosen


def test_nothing_is_learned() -> None:
    learner = Neighbour(Stacked(lambda: nn.Linear(2, 3).double()))
    side = Labelled(draw(2, 4, 2), torch.tensor([[0, 1, 1, 0]]).expand(2, -1))
    gradient, losses = learner.meta_gradient(learner.begin(0), Episodes(side, side))
    assert set(gradient) == {"net.weight", "net.bias"}
    assert not any(g.any() for g in gradient.values())
    assert losses.shape == (2,)
