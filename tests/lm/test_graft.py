import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from headstart.bank import Bank, Weights, fill, take
from headstart.errors import BankError, BaseRefused
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.tiny import FAMILIES, tiny_model
from headstart.loss import row_losses, token_losses
from headstart.terms import ALL_LINEAR

# Norms and rotary angles are computed in fp32 inside the models, whatever the dtype around them.
CLOSE = {"rtol": 0.0, "atol": 1e-5}
LENGTHS = ((5, 3), (20, 4), (1, 2), (9, 9))
SLOTS = [2, 0, 1, 2]

Make = Callable[..., Bank]
Draw = Callable[..., list[Encoded]]


@pytest.fixture(params=FAMILIES)
def net(request: pytest.FixtureRequest) -> Grafted:
    return Grafted(tiny_model(request.param, dtype=torch.float64), ALL_LINEAR)


@pytest.fixture(params=FAMILIES)
def upper(request: pytest.FixtureRequest) -> Grafted:
    return Grafted(tiny_model(request.param, dtype=torch.float64), ALL_LINEAR, layers=[2, 3])


@pytest.fixture
def llama() -> Grafted:
    return Grafted(tiny_model("llama", dtype=torch.float64))


@pytest.fixture
def math_attention() -> Iterator[None]:
    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no double backward on the CPU
        yield


def row_of(losses: Tensor, batch: Batch) -> Tensor:
    return row_losses(token_losses(losses, batch.labels), batch.owner, len(batch.tokens))


def gradients(net: Grafted, bank: Bank, slots: list[int], batch: Batch, between: Callable[[], object] = lambda: None) -> list[Tensor]:
    leaves = {name: stack.detach().clone().requires_grad_() for name, stack in bank.items()}
    loss = row_of(net(leaves, torch.tensor(slots), batch), batch).sum()
    between()
    return list(torch.autograd.grad(loss, list(leaves.values())))


def test_slot_0_is_the_bare_model(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank, rows = Batch.of(drawn_examples(*LENGTHS)), drawn_bank(net, 2), len(LENGTHS)
    based, bent = net(bank, torch.zeros(rows, dtype=torch.int64), batch), net(bank, torch.ones(rows, dtype=torch.int64), batch)
    net.remove()
    bare = net.model(batch.tokens).logits[batch.owner, batch.place]
    assert torch.allclose(based, bare, rtol=0, atol=1e-12)
    assert (bent - bare).abs().max() > 0.1


def test_a_mixed_batch_equals_row_by_row(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    examples, bank = drawn_examples(*LENGTHS), drawn_bank(net, 2)
    mixed = net(bank, torch.tensor(SLOTS), Batch.of(examples))
    alone = [net(bank, torch.tensor([slot]), Batch.of([e])) for slot, e in zip(SLOTS, examples, strict=True)]
    assert torch.allclose(mixed, torch.cat(alone), **CLOSE)


def test_every_site_of_every_family_is_bent(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank = Batch.of(drawn_examples((5, 3))), drawn_bank(net, 1)
    for name, grad in zip(bank, gradients(net, bank, [1], batch), strict=True):
        assert grad[1].any(), name
        assert not grad[0].any(), name


def test_right_padding_does_not_change_a_row(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    short, long = drawn_examples((4, 3), (30, 10))
    bank, slots = drawn_bank(net, 1), torch.tensor([1, 1])
    padded = net(bank, slots, Batch.of([short, long]))[:3]
    assert torch.allclose(padded, net(bank, slots[:1], Batch.of([short])), **CLOSE)


def test_logits_at_targets_are_slices_of_all_logits(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank, slots = Batch.of(drawn_examples(*LENGTHS)), drawn_bank(net, 2), torch.tensor(SLOTS)
    rows, length = batch.tokens.shape
    everywhere = replace(batch, owner=torch.arange(rows).repeat_interleave(length), place=torch.arange(length).repeat(rows))
    full = net(bank, slots, everywhere).view(rows, length, -1)
    assert torch.allclose(net(bank, slots, batch), full[batch.owner, batch.place], rtol=0, atol=1e-12)


def test_kept_lower_layers_equal_the_full_pass(upper: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    examples, bank = drawn_examples(*LENGTHS), drawn_bank(upper, 2)
    batch = Batch.of(examples)
    lowered = upper.lower(batch.tokens)
    kept = Batch.of(examples, [lowered[i, : len(e)] for i, e in enumerate(examples)])
    assert upper.cut == 2
    assert torch.allclose(upper(bank, torch.tensor(SLOTS), kept), upper(bank, torch.tensor(SLOTS), batch), **CLOSE)
    for got, wanted in zip(gradients(upper, bank, SLOTS, kept), gradients(upper, bank, SLOTS, batch), strict=True):
        assert torch.allclose(got, wanted, **CLOSE)


def test_lowering_runs_no_upper_layer_and_a_lowered_pass_no_lower_one(drawn_bank: Make, drawn_examples: Draw) -> None:
    net = Grafted(tiny_model("llama", dtype=torch.float64), layers=[2, 3])
    examples, bank, slots = drawn_examples((5, 3)), drawn_bank(net, 1), torch.tensor([1])
    batch = Batch.of(examples)
    wanted, hidden = net(bank, slots, batch), net.lower(batch.tokens)
    spoil(net, layers=(2, 3))
    assert torch.equal(net.lower(batch.tokens), hidden)
    net = Grafted(tiny_model("llama", dtype=torch.float64), layers=[2, 3])
    spoil(net, layers=(0, 1))
    assert torch.equal(net(bank, slots, Batch.of(examples, list(hidden))), wanted)
    assert net(bank, slots, batch).isnan().all()


def spoil(net: Grafted, layers: tuple[int, ...]) -> None:
    for layer in layers:
        for parameter in net.model.model.layers[layer].parameters():
            parameter.fill_(torch.nan)


def test_checkpointing_gives_the_same_gradients(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank = Batch.of(drawn_examples(*LENGTHS)), drawn_bank(net, 2)
    wanted = gradients(net, bank, SLOTS, batch)
    net.checkpoint()
    got = gradients(net, bank, SLOTS, batch)
    assert all(torch.equal(g, w) for g, w in zip(got, wanted, strict=True))


def test_a_call_between_forward_and_backward_does_not_reach_a_checkpoint(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank = Batch.of(drawn_examples(*LENGTHS)), drawn_bank(net, 2)
    wanted = gradients(net, bank, SLOTS, batch)
    net.checkpoint()
    other = drawn_bank(net, 1, seed=5)
    got = gradients(net, bank, SLOTS, batch, between=lambda: net(other, torch.tensor([1, 1, 1, 0]), batch))
    assert all(torch.equal(g, w) for g, w in zip(got, wanted, strict=True))


def test_checkpointing_runs_layers_again_and_can_be_turned_off(llama: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank, runs = Batch.of(drawn_examples((5, 3))), drawn_bank(llama, 1), []
    llama.model.model.layers[1].self_attn.q_proj.register_forward_hook(lambda *_: runs.append(1))
    for on, passes in ((True, 2), (False, 1)):
        runs.clear()
        llama.checkpoint(on)
        gradients(llama, bank, [1], batch)
        assert (len(runs), llama.model.get_input_embeddings()(batch.tokens).requires_grad) == (passes, False)  # else it is all kept


def test_remove_leaves_the_model_as_it_was(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    model, batch = net.model, Batch.of(drawn_examples(*LENGTHS))
    net(drawn_bank(net, 1), torch.ones(4, dtype=torch.int64), batch)
    net.remove()
    pristine = tiny_model(model.config.model_type, dtype=torch.float64)
    assert torch.equal(model(batch.tokens).logits, pristine(batch.tokens).logits)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)


def test_remove_ends_checkpointing(llama: Grafted) -> None:
    llama.checkpoint()
    llama.remove()
    assert not llama.model.is_activation_checkpointing
    assert not any(module.training for module in llama.model.modules())


def test_a_model_can_be_grafted_again_after_removal(llama: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank, slots = Batch.of(drawn_examples((5, 3))), drawn_bank(llama, 1), torch.tensor([1])
    wanted = llama(bank, slots, batch)
    llama.remove()
    assert torch.equal(Grafted(llama.model)(bank, slots, batch), wanted)


def test_the_base_is_frozen_and_evaluating(llama: Grafted) -> None:
    assert not any(p.requires_grad for p in llama.model.parameters())
    assert not llama.model.training
    assert llama.cut == 0


@pytest.mark.parametrize("slots", [[1], [1, 1, 1]])
def test_rows_and_slots_must_be_as_many(llama: Grafted, drawn_bank: Make, drawn_examples: Draw, slots: list[int]) -> None:
    with pytest.raises(BankError, match=f"2 rows of tokens came with {len(slots)} slots"):
        llama(drawn_bank(llama, 1), torch.tensor(slots), Batch.of(drawn_examples((5, 3), (5, 3))))


@pytest.mark.parametrize("slot", [-1, 2])
def test_a_slot_out_of_range_is_refused(llama: Grafted, drawn_bank: Make, drawn_examples: Draw, slot: int) -> None:
    with pytest.raises(BankError, match=f"Slot {slot} is not in this bank of 2"):
        llama(drawn_bank(llama, 1), torch.tensor([1, slot]), Batch.of(drawn_examples((5, 3), (5, 3))))


def test_a_refused_call_leaves_no_route_behind(llama: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch = Batch.of(drawn_examples((5, 3)))
    with pytest.raises(IndexError):
        llama(drawn_bank(llama, 1), torch.tensor([1]), replace(batch, place=batch.place + 100))
    assert torch.equal(llama.model(batch.tokens).logits, tiny_model("llama", dtype=torch.float64)(batch.tokens).logits)


def test_blank_changes_nothing_and_is_reproducible(drawn_examples: Draw) -> None:
    llama = Grafted(tiny_model("llama", dtype=torch.float64), rank=4)
    batch, slots = Batch.of(drawn_examples((5, 3))), torch.tensor([1])
    weights = llama.blank(3)
    assert torch.equal(llama(fill(weights, 1), slots, batch), llama(fill(weights, 1), slots - 1, batch))
    assert {tuple(w.shape) for w in weights.values()} == {(4, 32), (32, 4), (16, 4)}
    assert all(torch.equal(w, llama.blank(3)[name]) for name, w in weights.items())
    assert not torch.equal(*(llama.blank(seed)["model.layers.0.self_attn.q_proj.lora_A"] for seed in (3, 4)))


def test_a_blank_keeps_the_scale_of_what_comes_in() -> None:
    a = Grafted(tiny_model("llama"), rank=256).blank(0)["model.layers.0.self_attn.q_proj.lora_A"]
    assert (a @ torch.ones(32)).std().item() == pytest.approx(1, rel=0.2)


def test_a_blank_for_a_low_precision_base_is_fp32() -> None:
    net = Grafted(tiny_model("llama", dtype=torch.bfloat16))
    assert {w.dtype for w in net.blank(0).values()} == {torch.float32}


def test_a_bank_of_some_sites_bends_those_alone(llama: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    batch, bank, slots = Batch.of(drawn_examples((5, 3))), drawn_bank(llama, 1), torch.tensor([1])
    some = {name: stack for name, stack in bank.items() if "q_proj" in name}
    rest_zero = {name: stack if "q_proj" in name else torch.zeros_like(stack) for name, stack in bank.items()}
    assert torch.equal(llama(some, slots, batch), llama(rest_zero, slots, batch))


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(BaseRefused, match="no output head"):
        Grafted(tiny_model("llama").model)


def inner_then_outer(net: Grafted, weights: Weights, tasks: tuple[list[Encoded], list[Encoded]], second: bool) -> Tensor:
    support, query = (Batch.of(examples) for examples in tasks)
    count = len(support.tokens)
    bank, slots = fill(weights, count), torch.arange(1, count + 1)
    for _ in range(2):
        loss = row_of(net(bank, slots, support), support).sum()
        grads = torch.autograd.grad(loss, list(bank.values()), create_graph=second)
        bank = {name: stack - 0.1 * g for (name, stack), g in zip(bank.items(), grads, strict=True)}
    return row_of(net(bank, slots, query), query).sum()


def meta_gradient(net: Grafted, weights: Weights, tasks: tuple[list[Encoded], list[Encoded]], second: bool) -> list[Tensor]:
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    return list(torch.autograd.grad(inner_then_outer(net, leaves, tasks, second), list(leaves.values())))


@pytest.mark.usefixtures("math_attention")
@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("second", [True, False])
def test_tasks_adapted_together_have_the_sum_of_their_own_meta_gradients(
    llama: Grafted, drawn_bank: Make, drawn_examples: Draw, second: bool, checkpointed: bool
) -> None:
    weights = take(drawn_bank(llama, 1), 1)
    support, query = drawn_examples((5, 3), (8, 2), (3, 6)), drawn_examples((4, 4), (6, 2), (9, 1), seed=1)
    alone = [meta_gradient(llama, weights, ([s], [q]), second) for s, q in zip(support, query, strict=True)]
    llama.checkpoint(checkpointed)
    together = meta_gradient(llama, weights, (support, query), second)
    for got, *each in zip(together, *alone, strict=True):
        assert torch.allclose(got, sum(each), **CLOSE)
    assert max(g.abs().max() for g in together) > 0.1


@pytest.mark.usefixtures("math_attention")
def test_first_and_second_order_differ(llama: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    weights, tasks = take(drawn_bank(llama, 1), 1), (drawn_examples((5, 3)), drawn_examples((4, 4), seed=1))
    first, second = (meta_gradient(llama, weights, tasks, order) for order in (False, True))
    assert max((f - s).abs().max() for f, s in zip(first, second, strict=True)) > 1e-2


@pytest.mark.parametrize(("family", "targets"), [("llama", ["q_proj", "v_proj"]), ("gpt2", ["c_attn"])])
def test_logits_equal_those_of_peft(family: str, targets: list[str], drawn_examples: Draw) -> None:
    peft = pytest.importorskip("peft")
    batch = Batch.of(drawn_examples((5, 3), (7, 2)))
    with warnings.catch_warnings():
        # PEFT says that it turns gpt2's layout round, which is what is tested, and reads names that transformers is giving up.
        warnings.simplefilter("ignore", (UserWarning, FutureWarning))
        theirs = peft.get_peft_model(tiny_model(family).double(), peft.LoraConfig(r=4, lora_alpha=12, target_modules=targets))
    net = Grafted(tiny_model(family, dtype=torch.float64), targets)
    weights: Weights = {}
    for name in net.sites:
        lora = theirs.base_model.model.get_submodule(name)
        a, b = (part["default"].weight for part in (lora.lora_A, lora.lora_B))
        torch.nn.init.normal_(a, std=0.2)
        torch.nn.init.normal_(b, std=0.2)
        weights |= {f"{name}.lora_A": a.detach(), f"{name}.lora_B": b.detach() * (12 / 4)}
    wanted = theirs(batch.tokens).logits[batch.owner, batch.place]
    bank = fill({name: w.double() for name, w in weights.items()}, 1)
    assert torch.allclose(net(bank, torch.tensor([1, 1]), batch), wanted, **CLOSE)
    assert not torch.allclose(net(bank, torch.tensor([0, 0]), batch), wanted, rtol=0, atol=0.1)
