from dataclasses import replace

import pytest

from headstart.plan.cards import Place, card
from headstart.plan.facts import facts
from headstart.plan.forecast import CPU, GPU, PURPOSES, UNCOMPILED, file_bytes, forecast
from headstart.plan.moments import conversations
from headstart.plan.setting import Setting, usual
from headstart.plan.source import known, model
from headstart.plan.verdict import changes, engine_of, fitting, judge, planned
from headstart.terms import COPY, SEATS, Purpose

LLAMA, SMALL = (model(name).shape for name in ("meta-llama/Llama-2-7b-hf", "HuggingFaceTB/SmolLM2-135M"))
MORE = {
    "adapt": ("rank", "examples"),
    "meta-train": ("rank", "examples", "length", "tasks", "queries"),
    "serve": ("rank", "rows", "context", "adapters"),
    "full": ("examples",),
}


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("name", ["meta-llama/Llama-2-7b-hf", "Qwen/Qwen2.5-0.5B", "google/gemma-2-2b"])
def test_more_never_takes_less(purpose: Purpose, name: str) -> None:
    shape, start = model(name).shape, Setting(length=64, answer=32)
    for key in MORE[purpose]:
        last = 0
        for times in (1, 2, 3, 5):
            peak = forecast(shape, replace(start, **{key: times * getattr(start, key)}), purpose, CPU).peak
            assert peak >= last, f"{times} times the {key}"
            last = peak


def test_a_longer_example_never_takes_less() -> None:
    # Of several, a longer one may fill a conversation less well.
    peaks = [forecast(LLAMA, Setting(examples=1, folds=0, length=length), "adapt", CPU).peak for length in (64, 65, 128, 512, 2048)]
    assert peaks == sorted(peaks)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_shipped_base_is_forecast_for_every_purpose(purpose: Purpose) -> None:
    for name in known():
        shape = model(name).shape
        told = forecast(shape, Setting(target=usual(shape)), purpose, GPU)
        assert told.pieces["base"] == 2 * shape.parameters
        assert told.peak == sum(told.pieces.values()) > 2 * shape.parameters


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_shipped_base_is_planned_where_nobody_names_a_target(purpose: Purpose) -> None:
    for name in known():
        told = facts(model(name), card("RTX 4090"), purpose, Setting(target=()), None)
        wanted = ("qkv_proj",) if told["family"] == "phi3" else Setting.target
        assert told["setting"]["target"] == wanted
        assert told["adapter_file_bytes"] == file_bytes(model(name).shape, Setting(target=wanted)) > 0


def test_a_wider_precision_takes_more_and_checkpointing_and_higher_layers_less() -> None:
    peak = forecast(LLAMA, Setting(), "adapt", GPU).peak
    assert forecast(LLAMA, Setting(precision="fp32"), "adapt", GPU).peak > 1.8 * peak
    assert forecast(LLAMA, Setting(checkpoint=True), "adapt", GPU).peak < peak
    assert forecast(LLAMA, Setting(lowest=22), "adapt", GPU).peak < peak


def test_the_field_s_figures_of_a_seven_billion_model() -> None:
    # Issue trackers' and LitGPT's: adapters of about 8 MB, gradients and optimiser of full fine-tuning of 14 GB and more.
    assert file_bytes(LLAMA, Setting()) == 8_388_608
    adapt, full = (forecast(LLAMA, Setting(), purpose, GPU) for purpose in ("adapt", "full"))
    assert full.peak - full.pieces["base"] > 14_000_000_000
    assert adapt.peak < full.peak / 2


def test_keys_and_values_are_served_at_their_room() -> None:
    pieces = forecast(LLAMA, Setting(rows=16, context=1024, adapters=0), "serve", GPU).pieces
    assert pieces["keys and values"] == 16 * 1024 * 2**19
    assert "bank" not in pieces


def test_a_bank_takes_no_more_than_it_may_and_one_adapter_always_fits() -> None:
    wide = Setting(rank=64, target=("all-linear",), adapters=8)
    for rows, adapters in ((1, 8), (16, 100)):
        pieces = forecast(LLAMA, replace(wide, rows=rows, adapters=adapters), "serve", GPU).pieces
        numbers = file_bytes(LLAMA, wide) // 2
        assert pieces["bank"] == 2 * 2 * numbers > SEATS, "the base's slot and one adapter's"
        assert pieces["adapters as read"] == SEATS
    few = forecast(LLAMA, replace(wide, rank=8, adapters=100), "serve", GPU).pieces["bank"]
    assert 0.8 * SEATS < few <= SEATS


def test_linears_are_served_twice_where_memory_is_ample_and_they_are_not_packed() -> None:
    bare, packed = Setting(), Setting(precision="4bit")
    once = forecast(SMALL, bare, "serve", CPU)
    enough = COPY * once.pieces["base"]
    assert forecast(SMALL, bare, "serve", CPU, whole=enough) == once
    numbers = SMALL.layers * sum(it.width_in * it.width_out for it in SMALL.linears) + SMALL.width * SMALL.vocabulary
    assert forecast(SMALL, bare, "serve", CPU, whole=enough + 1).peak == once.peak + 2 * numbers
    assert forecast(SMALL, packed, "serve", CPU, whole=10**15) == forecast(SMALL, packed, "serve", CPU)


def test_what_the_program_itself_takes_is_counted() -> None:
    here, there = (forecast(SMALL, Setting(precision="4bit"), "serve", it).pieces for it in (CPU, GPU))
    assert (here["tokenizer"], here["bitsandbytes"]) == (CPU.token * SMALL.vocabulary, CPU.packer)
    assert there["workspaces of products"] == GPU.workspaces
    assert not {"tokenizer", "bitsandbytes"} & there.keys()
    assert "workspaces of products" not in here


def test_what_is_packed_is_trained_whole_in_half_precision() -> None:
    assert forecast(LLAMA, Setting(precision="4bit"), "full", GPU) == forecast(LLAMA, Setting(precision="bf16"), "full", GPU)


def test_on_a_card_fp32_has_keys_and_values_for_every_head() -> None:
    for purpose in ("adapt", "meta-train"):
        for precision, more in (("bf16", False), ("fp32", True), ("fp16", True)):
            setting = Setting(precision=precision, folds=0)
            card, cpu = (forecast(SMALL, setting, purpose, it).pieces["activations"] for it in (GPU, CPU))
            assert (card > cpu) == more
    # Without groups there is nothing to lay out.
    card, cpu = (forecast(LLAMA, Setting(precision="fp32", folds=0), "adapt", it).pieces["activations"] for it in (GPU, CPU))
    assert card == cpu


def test_verdicts_and_what_to_change() -> None:
    small = Place("small", planned(LLAMA, Setting(), "adapt", card("RTX 4090")).peak - 1, gpu=True)
    assert judge(small.memory + 1, small) == "no"
    assert judge(small.memory, small) == "tight"
    assert judge(small.memory // 2, small) == "fits"
    named = changes(LLAMA, Setting(), "adapt", small)
    assert named[0].what.startswith("layers computed again")
    assert [it.peak for it in named] == sorted((it.peak for it in named), reverse=True)
    assert named[-1].verdict == "fits" or all(it.verdict != "fits" for it in named)


def test_nothing_can_be_changed_where_the_base_alone_is_too_much() -> None:
    named = changes(LLAMA, Setting(), "adapt", Place("tiny", 4_000_000_000, gpu=True))
    assert {it.verdict for it in named} == {"no"}


def test_a_seven_billion_model_fits_eight_gigabytes_in_four_bits_and_that_is_said() -> None:
    named = changes(LLAMA, Setting(), "adapt", card("RTX 4060"))
    assert [it.verdict for it in named] == ["no"] * (len(named) - 1) + ["fits"]
    assert named[-1].what == "--precision 4bit, layers computed again (adapt does so by itself)"
    assert changes(LLAMA, Setting(), "serve", card("RTX 4060"))[-1].what == "--precision 4bit --rows 2"


def test_the_fewest_bits_that_it_takes_are_chosen() -> None:
    def chosen(gigabytes: float) -> str | None:
        found = fitting(LLAMA, Setting(), "adapt", Place("a card", int(gigabytes * 1e9), gpu=True))
        return found and found.precision

    assert [chosen(it) for it in (24, 12, 8, 4)] == ["bf16", "8bit", "4bit", None]


def test_a_conversation_has_the_template_s_head_once() -> None:
    alone = Setting(examples=10, length=96, answer=48)
    assert conversations(SMALL, alone, 10) == [969]
    # As the embedded base's template has it.
    assert conversations(SMALL, replace(alone, head=21), 10) == [780]
    assert conversations(SMALL, replace(alone, head=21, length=128), 10) == [21 + 9 * 108 - 1, 128], "nine are as many as fit"
    assert conversations(SMALL, replace(alone, head=21, prefix=False), 2) == [96, 96]
    assert forecast(SMALL, replace(alone, head=21), "adapt", CPU).peak < forecast(SMALL, alone, "adapt", CPU).peak


def test_products_are_compiled_where_a_processor_can() -> None:
    here, plain = Place("", 1, gpu=False), Place("", 1, gpu=False, compiled=False)
    assert (engine_of(here), engine_of(plain)) == (CPU, UNCOMPILED)
    assert planned(SMALL, Setting(), "adapt", here).peak - planned(SMALL, Setting(), "adapt", plain).peak == CPU.code
    whole = Setting(precision="fp32")
    assert planned(SMALL, whole, "adapt", here) == planned(SMALL, whole, "adapt", plain)


def test_a_server_without_room_for_weights_a_second_time_keeps_them_once() -> None:
    # As a container of six gigabytes on a machine of 256.
    small, ample = (Place("", 6 * 10**9, gpu=False, whole=whole) for whole in (6 * 10**9, 256 * 10**9))
    shape = model("HuggingFaceTB/SmolLM2-1.7B").shape
    assert planned(shape, Setting(), "serve", small) == planned(shape, Setting(), "serve", ample)
    assert fitting(shape, Setting(rows=1), "serve", ample) == Setting(rows=1), "no bits are given up for the sake of a second copy"
    roomy = replace(ample, memory=200 * 10**9)
    assert planned(shape, Setting(), "serve", roomy).peak > planned(shape, Setting(), "serve", small).peak


def test_a_conversation_in_meta_training_ends_at_the_context() -> None:
    shape = replace(SMALL, context=1024)
    known, longer = (forecast(it, Setting(examples=30, length=128), "meta-train", GPU).peak for it in (shape, SMALL))
    assert known < longer
