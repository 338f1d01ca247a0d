import torch

from headstart.learners.parts import mean_gradient, part, prefixed


def test_a_part_of_meta_comes_back_by_its_prefix() -> None:
    weights = {"0.weight": torch.ones(1), "1.weight": torch.zeros(1)}
    meta = prefixed("net", weights) | prefixed("network", {"0.weight": torch.full((1,), 2.0)})
    assert part("net", meta) == weights
    assert set(meta) == {"net.0.weight", "net.1.weight", "network.0.weight"}


def test_the_gradient_is_that_of_the_mean_over_tasks_and_zero_where_a_name_plays_no_part() -> None:
    meta = {"net.w": torch.tensor([2.0]), "idle": torch.ones(3)}
    gradient, losses = mean_gradient(meta, lambda leaves: ((leaves["net.w"] * torch.tensor([1.0, 3.0])) ** 2, torch.tensor([5.0, 6.0])))
    # d/dw of (w^2 + 9 w^2) / 2 is 10 w.
    assert gradient["net.w"].tolist() == [20.0]
    assert gradient["idle"].tolist() == [0.0, 0.0, 0.0]
    assert losses.tolist() == [5.0, 6.0]
    assert not any(w.requires_grad for w in meta.values())


def test_a_learner_without_weights_has_an_empty_gradient() -> None:
    assert mean_gradient({}, lambda _: (torch.ones(2), torch.ones(2)))[0] == {}
