"""Texts as vectors: the model's own hidden states, each text as if it stood alone, with gradients to the bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from headstart.bank import Bank, Weights, take
from headstart.episode import Episodes, Labelled
from headstart.errors import BankError
from headstart.learners.metric import Prototypical
from headstart.lm import features as room
from headstart.lm.features import PAD, Features, Pool, encoder, text_net, tokens_of
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.tiny import FAMILIES, VOCABULARY, tiny_model
from headstart.terms import ALL_LINEAR

# Norms and rotary angles are computed in fp32 inside the models, whatever the dtype around them.
CLOSE = {"rtol": 0.0, "atol": 1e-5}
LENGTHS = [[5, 2, 9], [3, 9, 4]]
SLOTS = torch.tensor([2, 1])

Make = Callable[..., Bank]


def drawn_tokens(*rows: list[int], seed: int = 0) -> Tensor:
    """Random texts of such lengths, (rows, n, length)."""
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.full((len(rows), len(rows[0]), max(map(max, rows)) + 1), PAD)
    for r, lengths in enumerate(rows):
        for i, length in enumerate(lengths):
            tokens[r, i, :length] = torch.randint(VOCABULARY, (length,), generator=rng)
    return tokens


def of(family: str, depth: int = 3, pool: Pool = "mean") -> Features:
    return Features(Grafted(tiny_model(family, dtype=torch.float64), ALL_LINEAR), depth, pool)


@pytest.fixture
def llama() -> Features:
    return of("llama")


@pytest.mark.parametrize("pool", ["mean", "last"])
@pytest.mark.parametrize("depth", [1, 3, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_the_models_own_hidden_states_of_each_text_alone(family: str, depth: int, pool: Pool) -> None:
    net, tokens = of(family, depth, pool), drawn_tokens(*LENGTHS)
    got = net({}, torch.zeros(2, dtype=torch.int64), tokens)
    net.net.remove()
    seen: list[Tensor] = []
    blocks = max((m for m in net.net.model.modules() if isinstance(m, torch.nn.ModuleList)), key=len)
    blocks[depth - 1].register_forward_hook(lambda module, args, out: seen.append(out))
    for r, lengths in enumerate(LENGTHS):
        for i, length in enumerate(lengths):
            net.net.model(tokens[r, i, :length][None])
            [hidden] = seen.pop()
            wanted = hidden[1:].mean(0) if pool == "mean" else hidden[-1]
            assert torch.allclose(got[r, i], wanted, **CLOSE)


def test_a_mixed_batch_equals_one_text_at_a_time(llama: Features, drawn_bank: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, tokens = drawn_bank(llama.net, 2), drawn_tokens(*LENGTHS)
    together = llama(bank, SLOTS, tokens)
    for r, lengths in enumerate(LENGTHS):
        for i, length in enumerate(lengths):
            alone = llama(bank, SLOTS[r : r + 1], tokens[r : r + 1, i : i + 1, :length])
            assert torch.allclose(together[r, i], alone[0, 0], **CLOSE)
    monkeypatch.setattr(room, "BUDGET", 10)
    assert torch.allclose(llama(bank, SLOTS, tokens), together, **CLOSE)
    assert (llama(bank, 0 * SLOTS, tokens) - together).abs().max() > 0.1


def test_neither_upper_layers_nor_the_norm_and_head_touch_the_features(llama: Features) -> None:
    tokens, slots = drawn_tokens(*LENGTHS), torch.zeros(2, dtype=torch.int64)
    wanted = llama({}, slots, tokens)
    for parameter in [*llama.net.model.model.layers[3].parameters(), llama.net.model.model.norm.weight, llama.net.model.lm_head.weight]:
        parameter.fill_(torch.nan)
    assert torch.equal(llama({}, slots, tokens), wanted)
    assert replace(llama, depth=4)({}, slots, tokens).isnan().all()


def gradients(net: Features, weights: Weights, tokens: Tensor) -> tuple[Weights, Tensor]:
    learner = Prototypical(net, measure="centred")
    meta = {f"net.{name}": w for name, w in weights.items()} | {"log_scale": torch.tensor(2.0, dtype=torch.float64)}
    targets = torch.tensor([0, 1, 1]).expand(len(tokens), -1)
    return learner.meta_gradient(meta, Episodes(Labelled(tokens, targets), Labelled(tokens.flip(1), targets)))


@pytest.mark.parametrize("checkpointed", [False, True])
def test_the_meta_gradient_agrees_with_finite_differences(llama: Features, drawn_bank: Make, checkpointed: bool) -> None:
    weights, tokens = take(drawn_bank(llama.net, 1), 1), drawn_tokens(*LENGTHS)
    llama.net.checkpoint(checkpointed)
    gradient, _ = gradients(llama, weights, tokens)
    for layer, site in ((0, "self_attn.q_proj"), (1, "mlp.down_proj"), (2, "self_attn.v_proj")):
        for half in ("lora_A", "lora_B"):
            name, step = f"model.layers.{layer}.{site}.{half}", 1e-3
            nudge = torch.zeros_like(weights[name])
            nudge[1, 1] = step
            up, down = (gradients(llama, weights | {name: weights[name] + sign * nudge}, tokens)[1].mean() for sign in (1, -1))
            slope = float(up - down) / (2 * step)
            assert float(gradient[f"net.{name}"][1, 1]) == pytest.approx(slope, rel=1e-2, abs=1e-5), name
    above = [g for name, g in gradient.items() if ".layers.3." in name]
    assert above
    assert not any(g.any() for g in above)


def test_an_unbent_lora_begins_as_the_bare_model(llama: Features) -> None:
    weights, tokens = llama.blank(0), drawn_tokens(*LENGTHS)
    bank = {name: torch.stack([torch.zeros_like(w), w]) for name, w in weights.items()}
    ones = torch.ones(2, dtype=torch.int64)
    assert torch.equal(llama(bank, ones, tokens), llama({}, 0 * ones, tokens))


def test_features_of_a_low_precision_model_are_fp32(drawn_bank: Make) -> None:
    net = Features(Grafted(tiny_model("llama", dtype=torch.bfloat16)), 2)
    assert net({}, torch.zeros(1, dtype=torch.int64), drawn_tokens([3, 4])).dtype == torch.float32


def test_texts_become_a_mark_and_a_phrase_around_them(tiny: Base) -> None:
    tokens = tokens_of(tiny.chat, ["ab", "c"], phrase=("<", ">!"))
    ids = lambda text: tiny.chat.tokenizer(text, add_special_tokens=False).input_ids  # noqa: E731
    assert tokens.tolist() == [[0, *ids("<ab>!")], [0, *ids("<c>!"), PAD]]
    assert tokens_of(tiny.chat, ["ab"])[0].tolist() == [0, *ids('This text: "ab" means in one word: "')]


def test_a_text_too_long_for_the_model_loses_its_end(tiny: Base) -> None:
    [tokens] = tokens_of(tiny.chat, ["x" * 9999], phrase=("<", ">"))
    assert len(tokens) == tiny.chat.context
    assert tiny.chat.letters.text(tokens[-3:].tolist()) == "xx>"


def test_an_encoder_gives_each_text_the_features_of_its_slot(tiny: Base, drawn_bank: Make) -> None:
    net = text_net(tiny)
    bank, texts = drawn_bank(net.net, 2), ["red", "a longer one", ""]
    tokens = tokens_of(tiny.chat, texts)
    for slot in (0, 1, 2):
        got = encoder(net, tiny.chat, bank, slot)(texts)
        assert torch.allclose(got, net(bank, torch.tensor([slot]), tokens[None])[0], **CLOSE)
        assert not got.requires_grad
    assert torch.equal(encoder(net, tiny.chat)(texts), encoder(net, tiny.chat, bank, 0)(texts))
    net.net.remove()


def test_an_embedding_is_bent_in_the_upper_third_of_what_is_run(tiny: Base) -> None:
    net = text_net(tiny, rank=3)
    net.net.remove()
    assert (net.depth, {name[:15] for name in net.net.sites}) == (3, {"model.layers.2."})
    assert net.blank(0)["model.layers.2.self_attn.q_proj.lora_A"].shape == (3, 32)


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_of_every_depth_are_the_models_own(family: str, drawn_bank: Make) -> None:
    net, tokens, slots = of(family).net, drawn_tokens([5, 9, 7]).clamp(min=0)[0], torch.tensor([2, 0, 1])
    bank = drawn_bank(net, 2)
    got = [net.hidden(bank, slots, tokens, depth) for depth in range(net.layers + 1)]
    seen: list[Tensor] = []
    blocks = max((m for m in net.model.modules() if isinstance(m, torch.nn.ModuleList)), key=len)
    for block in blocks:
        block.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    blocks[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    net.hidden(bank, slots, tokens, net.layers)
    assert len(seen) == len(got) == 5
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(got, seen, strict=True))


def test_hidden_states_need_a_slot_a_row(llama: Features, drawn_bank: Make) -> None:
    with pytest.raises(BankError, match="2 rows of tokens came with 1 slots"):
        llama.net.hidden(drawn_bank(llama.net, 1), torch.tensor([1]), torch.ones(2, 3, dtype=torch.int64), 2)
