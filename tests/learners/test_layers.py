import torch
from torch import nn

from headstart.learners.layers import draw_linear, draw_lstm, linear, lstm
from headstart.learners.parts import prefixed


def test_one_step_of_the_lstm_equals_torchs() -> None:
    weights = draw_lstm(3 + 4, 4, torch.Generator().manual_seed(0))
    cell = nn.LSTMCell(3, 4)
    with torch.no_grad():
        cell.weight_ih.copy_(weights["weight"][:, :3])
        cell.weight_hh.copy_(weights["weight"][:, 3:])
        cell.bias_ih.copy_(weights["bias"])
        cell.bias_hh.zero_()
    x, hidden, kept = torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4)
    got = lstm(prefixed("l", weights), "l", torch.cat([x, hidden], dim=1), kept)
    assert all(torch.allclose(g, w, atol=1e-6) for g, w in zip(got, cell(x, (hidden, kept)), strict=True))


def test_the_forget_gate_starts_out_open() -> None:
    bias = draw_lstm(100, 4, torch.Generator().manual_seed(0))["bias"]
    assert bias.abs().gt(0.5).tolist() == [4 <= i < 8 for i in range(16)]


def test_a_linear_is_named_by_its_prefix_and_drawn_within_its_bound() -> None:
    weights = draw_linear(16, 1000, torch.Generator().manual_seed(0))
    assert 0.24 < max(w.abs().max() for w in weights.values()) <= 0.25
    x = torch.randn(2, 3, 16)
    assert torch.allclose(linear(prefixed("a", weights), "a", x), x @ weights["weight"].T + weights["bias"], atol=1e-6)
