from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.bank import Bank, Weights, fill, take
from headstart.conv import Conv4
from headstart.episode import Episodes, Labelled
from headstart.errors import BankError, SettingsError
from headstart.learners.gradient import Maml

SMALL = Conv4(3, filters=4, size=16)
# Patches of one channel are narrower than 9 filters, and wider than 4: the first block goes another way.
SHAPES = {
    "grouped": SMALL,
    "by patches": Conv4(3, filters=9, size=16),
    "strided": Conv4(3, filters=4, size=16, strided=True),
    "strided by patches": Conv4(3, filters=9, size=16, strided=True),
    "odd": Conv4(3, filters=9, size=21),
    "odd and strided": Conv4(3, filters=9, size=21, strided=True),
    "colours": Conv4(3, filters=4, size=16, channels=3),
    "features": Conv4(None, filters=9, size=32),
}
each = pytest.mark.parametrize("net", SHAPES.values(), ids=SHAPES.keys())


@pytest.fixture(autouse=True, params=["as here", "as on a GPU"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are computed in another way there."""
    if request.param == "as on a GPU":
        monkeypatch.setattr(Conv4, "_block", Conv4._by_products)


def images(net: Conv4, rows: int, n: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.rand(rows, n, net.channels, net.size, net.size, generator=chance, dtype=torch.float64)


def drawn(net: Conv4, seed: int = 0) -> Weights:
    """Weights with gains of both signs, as the order of pooling and ReLU hangs on nothing but them."""
    chance = torch.Generator().manual_seed(seed)
    weights = {name: w.double() for name, w in net.blank(seed).items()}
    return {name: torch.randn(w.shape, generator=chance, dtype=torch.float64) if w.dim() == 1 else w for name, w in weights.items()}


def drawn_bank(net: Conv4, slots: int) -> Bank:
    each = [drawn(net, seed) for seed in range(slots)]
    return {name: torch.stack([torch.zeros_like(w), *(one[name] for one in each)]) for name, w in each[0].items()}


def by_the_book(net: Conv4, weights: Weights, x: Tensor) -> Tensor:
    """One row, layer by layer."""
    for block in range(1, 5):
        x = F.conv2d(x, weights[f"conv{block}.weight"], padding=1, stride=2 if net.strided else 1)
        x = F.batch_norm(x, None, None, weights[f"norm{block}.weight"], weights[f"norm{block}.bias"], training=True)
        x = x.relu() if net.strided else F.max_pool2d(x.relu(), 2)
    x = x.mean((2, 3)) if net.strided else x.flatten(1)
    return x if net.ways is None else F.linear(x, weights["head.weight"], weights["head.bias"])


@each
@pytest.mark.parametrize("slots", [[1, 2, 3], [2, 2, 1, 3], [2]], ids=str)
def test_mixed_rows_equal_the_plain_net_row_by_row(net: Conv4, slots: list[int]) -> None:
    bank, x = drawn_bank(net, 3), images(net, len(slots), 4)
    mixed = net(bank, torch.tensor(slots), x)
    for i, slot in enumerate(slots):
        assert torch.allclose(mixed[i], by_the_book(net, take(bank, slot), x[i]), rtol=0, atol=1e-10)


@each
def test_gradients_and_the_gradient_of_a_gradient_are_the_plain_nets(net: Conv4) -> None:
    bank, x = drawn_bank(net, 2), images(net, 2, 3)

    def derivatives(run: bool) -> list[Tensor]:
        leaves = {name: stack.clone().requires_grad_() for name, stack in bank.items()}
        outputs = (
            net(leaves, torch.tensor([1, 2]), x) if run else torch.stack([by_the_book(net, take(leaves, i + 1), x[i]) for i in (0, 1)])
        )
        first = torch.autograd.grad(outputs.square().sum(), list(leaves.values()), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), list(leaves.values()), materialize_grads=True)
        return [*first, *second]

    for got, wanted in zip(derivatives(True), derivatives(False), strict=True):
        assert torch.allclose(got, wanted, rtol=1e-6, atol=1e-9 * float(wanted.detach().abs().max() + 1))


@pytest.mark.parametrize("net", [SMALL, SHAPES["by patches"], SHAPES["strided"]], ids=["grouped", "by patches", "strided"])
def test_the_second_order_meta_gradient_agrees_with_finite_differences(net: Conv4) -> None:
    learner = Maml(net, rate=0.1)
    meta = {f"net.{name}": w for name, w in drawn(net).items()}
    chance = torch.Generator().manual_seed(1)
    targets = torch.tensor([[0, 1, 2], [2, 0, 1]])
    e = Episodes(Labelled(images(net, 2, 3), targets), Labelled(images(net, 2, 3, seed=1), targets))
    way = {name: torch.randn(w.shape, generator=chance, dtype=torch.float64) for name, w in meta.items()}

    def loss(far: float) -> Tensor:
        at = {name: w + far * way[name] for name, w in meta.items()}
        return e.query.losses(learner.predict(at, learner.adapt(at, e.support), e.query.asked)).mean()

    gradient, _ = learner.meta_gradient(meta, e)
    along = sum(float((g * way[name]).sum()) for name, g in gradient.items())
    assert along == pytest.approx(float(loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-5)


def test_images_too_have_gradients() -> None:
    net, x = SHAPES["by patches"], images(SHAPES["by patches"], 1, 2).requires_grad_()
    weights = drawn(net)
    [got] = torch.autograd.grad(net(fill(weights, 1), torch.tensor([1]), x).square().sum(), x)
    [wanted] = torch.autograd.grad(by_the_book(net, weights, x[0]).square().sum(), x)
    assert torch.allclose(got, wanted, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("net", "features"),
    [
        (Conv4(None), 64),
        (Conv4(None, strided=True), 64),
        (Conv4(None, filters=32, channels=3, size=84), 800),
        (Conv4(None, filters=5, size=21), 5),
    ],
)
def test_features_are_as_many_as_the_net_says(net: Conv4, features: int) -> None:
    weights = net.blank(0)
    x = torch.rand(1, 2, net.channels, net.size, net.size)
    assert net(fill(weights, 1), torch.tensor([1]), x).shape == (1, 2, features)
    assert net.features == features
    assert replace(net, ways=5).blank(0)["head.weight"].shape == (5, features)


def test_what_is_asked_together_shapes_the_answers() -> None:
    bank, x = fill(drawn(SMALL), 1), images(SMALL, 1, 5)
    slots = torch.tensor([1])
    assert not torch.allclose(SMALL(bank, slots, x)[:, :2], SMALL(bank, slots, x[:, :2]), atol=1e-3)


def test_blank_is_reproducible_and_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = SMALL.blank(7), SMALL.blank(7), SMALL.blank(8)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_fresh_weights_keep_the_scale_of_what_passes_through() -> None:
    weight = Conv4(None).blank(0)["conv2.weight"]
    assert float(weight.var()) == pytest.approx(2 / (9 * (64 + 64)), rel=0.05)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(BankError, match="The images are 3x16x16, this net reads 1x16x16"):
        SMALL(fill(SMALL.blank(0), 1), torch.tensor([1]), torch.zeros(1, 2, 3, 16, 16))


def test_images_too_small_to_be_halved_four_times_are_refused() -> None:
    with pytest.raises(SettingsError, match="15 pixels are too few"):
        Conv4(5, size=15)
