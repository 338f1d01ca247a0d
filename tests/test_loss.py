import pytest
import torch

from headstart.errors import BankError
from headstart.loss import few_at_once, row_losses, token_losses


def test_a_token_loss_is_the_negative_log_of_its_label_s_share() -> None:
    logits = torch.randn(4, 7, dtype=torch.float64)
    labels = [3, 0, 6, 3]
    shares = logits.exp() / logits.exp().sum(-1, keepdim=True)
    wanted = torch.stack([-shares[i, label].log() for i, label in enumerate(labels)])
    assert torch.allclose(token_losses(logits, torch.tensor(labels)), wanted, rtol=0, atol=1e-12)


def test_token_losses_are_computed_in_fp32_at_least() -> None:
    logits, labels = torch.randn(4, 7), torch.tensor([1, 2, 3, 4])
    assert token_losses(logits.double(), labels).dtype == torch.float64
    low = logits.bfloat16()
    assert torch.equal(token_losses(low, labels), token_losses(low.float(), labels))


def test_a_row_s_loss_is_the_mean_of_its_own_targets() -> None:
    losses, owner = torch.tensor([1.0, 5.0, 2.0, 4.0, 9.0]), torch.tensor([1, 0, 1, 3, 1])
    assert row_losses(losses, owner, 4).tolist() == [5.0, 4.0, 0.0, 4.0]


def test_a_row_s_gradient_does_not_know_how_many_other_rows_there_are() -> None:
    alone, together = torch.ones(2, requires_grad=True), torch.ones(5, requires_grad=True)
    row_losses(alone, torch.tensor([0, 0]), 1).sum().backward()
    row_losses(together, torch.tensor([0, 0, 1, 1, 1]), 2).sum().backward()
    assert alone.grad is not None
    assert together.grad is not None
    assert torch.equal(together.grad[:2], alone.grad)


def test_losses_of_a_few_logits_at_a_time_refuse_a_second_derivative() -> None:
    hidden, labels, head = torch.randn(4, 3, requires_grad=True), torch.tensor([1, 2, 3, 4]), torch.randn(7, 3)
    losses = few_at_once(hidden, labels, lambda rows: rows @ head.T, 3)
    with pytest.raises(BankError, match="no second derivative"):
        torch.autograd.grad(losses.sum(), hidden, create_graph=True)
