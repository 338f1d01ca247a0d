import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.learners.closeness import centred, cosine, euclidean


@given(st.tuples(*[st.integers(1, 3)] * 4), st.integers(0, 100))
def test_closeness_equals_a_loop_over_pairs(sizes: tuple[int, int, int, int], seed: int) -> None:
    rows, n, m, width = sizes
    chance = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(rows, k, width, generator=chance, dtype=torch.float64) for k in (n, m))
    distances, angles = euclidean(left, right), cosine(left, right)
    for row in range(rows):
        for i in range(n):
            for j in range(m):
                a, b = left[row, i], right[row, j]
                assert distances[row, i, j].item() == pytest.approx(-sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True)))
                assert angles[row, i, j].item() == pytest.approx((a @ b / a.norm() / b.norm()).item(), abs=1e-5)


def test_distances_far_from_the_origin_are_not_cancelled_away() -> None:
    left, right = torch.tensor([[[10000.0, 1.0]]]), torch.tensor([[[10000.0, 0.0], [10000.0, 3.0]]])
    assert torch.allclose(euclidean(left, right), torch.tensor([[[-1.0, -4.0]]]))


def test_angles_seen_from_the_middle_do_not_change_when_everything_is_moved() -> None:
    chance = torch.Generator().manual_seed(0)
    left, right = (torch.randn(2, k, 4, generator=chance, dtype=torch.float64) for k in (3, 5))
    close, far = centred(left, right), torch.full((4,), 1000.0, dtype=torch.float64)
    assert torch.allclose(centred(left + far, right + far), close, rtol=0, atol=1e-9)
    assert torch.allclose(close, cosine(left - right.mean(1, keepdim=True), right - right.mean(1, keepdim=True)))
    assert (cosine(left + far, right + far) - cosine(left, right)).abs().max() > 0.5


def test_a_zero_vector_is_at_right_angles_to_all_and_has_a_finite_gradient() -> None:
    zero = torch.zeros(1, 1, 3, dtype=torch.float64, requires_grad=True)
    angles = cosine(zero, torch.ones(1, 2, 3, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(angles.sum(), zero)
    assert not angles.any()
    assert torch.isfinite(gradient).all()
