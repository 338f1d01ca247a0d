from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from headstart.episode import Episodes, Labelled
from headstart.errors import SettingsError
from headstart.learners.gradient import Maml
from headstart.learners.implicit import Implicit, conjugate
from headstart.net import Stacked
from tests.learners.toys import NET, apart, differences, draw, episodes, known, of, query_loss

LINE = Stacked(lambda: nn.Linear(2, 1, bias=False).double())


def regression(tasks: int = 3) -> Episodes:
    return Episodes(Labelled(draw(tasks, 5, 2), draw(tasks, 5, 1, seed=1)), Labelled(draw(tasks, 4, 2, seed=2), draw(tasks, 4, 1, seed=3)))


def test_conjugate_gradients_solve_every_row_by_itself() -> None:
    factors, wanted = draw(4, 5, 5), draw(4, 5, seed=1)
    matrices = factors @ factors.mT + torch.eye(5, dtype=torch.float64)
    solved = conjugate(lambda v: torch.einsum("rij,rj->ri", matrices, v), wanted, 5)
    assert torch.allclose(solved, torch.linalg.solve(matrices, wanted), rtol=0, atol=1e-9)


def test_a_row_that_is_solved_stays_as_it_is() -> None:
    wanted = torch.stack([torch.zeros(3), torch.tensor([1.0, 2.0, 3.0])]).double()
    solved = conjugate(lambda v: 2 * v, wanted, 10)
    assert torch.equal(solved, wanted / 2)


def test_a_direction_of_negative_curvature_is_not_followed() -> None:
    solved = conjugate(lambda v: v * torch.tensor([[1.0], [-1.0]]), torch.ones(2, 3), 5)
    assert torch.equal(solved, torch.ones(2, 3)), "the second is what was wanted, not nothing"


def until_it_bends_back(matrix: Tensor, wanted: Tensor, steps: int) -> Tensor:
    x, left, way = torch.zeros_like(wanted), wanted, wanted
    for _ in range(steps):
        bend = way @ matrix @ way
        if bend <= 0:
            break
        far = left @ left / bend
        before, x, left = left, x + far * way, left - far * matrix @ way
        way = left + (left @ left) / (before @ before) * way
    return x if x.any() else wanted


def test_a_row_goes_no_further_once_its_matrix_has_bent_back() -> None:
    turns, wanted = torch.linalg.qr(draw(300, 4, 4)).Q, draw(300, 4, seed=1)
    matrices = turns @ torch.tensor([3.0, 2.0, 1.0, -0.5], dtype=torch.float64).diag() @ turns.mT
    solved = conjugate(lambda v: torch.einsum("rij,rj->ri", matrices, v), wanted, 6)
    expected = torch.stack([until_it_bends_back(matrix, row, 6) for matrix, row in zip(matrices, wanted, strict=True)])
    assert torch.allclose(solved, expected, rtol=1e-6, atol=1e-8)


def test_without_a_solve_it_is_the_first_order_gradient() -> None:
    learner, e = Implicit(NET, steps=3, rate=0.1, strength=1e-12, solves=0), episodes()
    meta = known(learner)
    assert apart(learner.meta_gradient(meta, e)[0], of("fomaml", steps=3, rate=0.1).meta_gradient(meta, e)[0]) < 1e-9


def test_a_straight_lines_meta_gradient_is_the_exact_one() -> None:
    learner, e = Implicit(LINE, steps=150, rate=0.2, strength=1.5, solves=2), regression()
    meta = known(learner)
    x, y, xq, yq = e.support.inputs, e.support.targets, e.query.inputs, e.query.targets
    start = meta["net.weight"].mT.expand(3, 2, 1)
    hessian, eye = 2 * x.mT @ x / 5, torch.eye(2, dtype=torch.float64)
    best = torch.linalg.solve(hessian + 1.5 * eye, 2 * x.mT @ y / 5 + 1.5 * start)
    assert torch.allclose(learner.adapt(meta, e.support)["weight"][1:], best.mT, rtol=0, atol=1e-10)
    slope = 2 * xq.mT @ (xq @ best - yq) / 4
    wanted = torch.linalg.solve(eye + hessian / 1.5, slope).mean(0).mT
    assert torch.allclose(learner.meta_gradient(meta, e)[0]["net.weight"], wanted, rtol=0, atol=1e-10)


def test_where_the_inner_loop_has_settled_the_implicit_gradient_agrees_with_finite_differences() -> None:
    net = Stacked(lambda: nn.Sequential(nn.Linear(2, 1), nn.Tanh()).double())
    learner, e = Implicit(net, steps=80, rate=0.15, strength=3.0, solves=3), regression()
    meta = known(learner)
    assert apart(learner.meta_gradient(meta, e)[0], differences(lambda at: query_loss(learner, at, e), meta)) < 1e-7


def test_a_tighter_hold_leaves_tasks_nearer_to_meta() -> None:
    learner, e = Implicit(NET, steps=30, rate=0.1, strength=1.0), episodes()
    meta = known(learner)

    def moved(strength: float) -> float:
        fast = replace(learner, strength=strength).adapt(meta, e.support)
        return sum(float((stack[1:] - meta[f"net.{name}"]).square().sum()) for name, stack in fast.items())

    assert moved(8.0) < 0.5 * moved(1.0)


def test_under_a_hard_hold_it_is_the_plain_query_gradient() -> None:
    learner, e = Implicit(NET, steps=0, strength=1e9), episodes()
    meta = known(learner)
    assert apart(learner.meta_gradient(meta, e)[0], Maml(NET, steps=0).meta_gradient(meta, e)[0]) < 1e-8


def test_settings_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        Implicit(NET, steps=-1, solves=-1, strength=0.0)
    assert all(word in str(refusal.value) for word in ("steps is -1", "solves is -1", "strength is 0.0"))
