from collections.abc import Callable

import pytest
import torch

from headstart.bank import Bank
from headstart.errors import BankError, Diverged, ExamplesError
from headstart.lm.chat import Chat
from headstart.lm.generate import Growing, Sampling, choose, generate, likeliest
from headstart.lm.graft import Grafted
from headstart.lm.packed import Packed
from headstart.lm.tiny import FAMILIES, VOCABULARY, tiny_model, tiny_tokenizer
from headstart.terms import ALL_LINEAR
from tests.conftest import next_logits

Make = Callable[..., Bank]
SLOTS = [1, 0, 2, 1]
SHORT = Sampling(max_tokens=8)
DRAWN = Sampling(max_tokens=12, temperature=1.5, seed=3)
# Longer and shorter than the sliding window of the families that have one.
LENGTHS = (3, 25, 1, 14)


@pytest.fixture
def llama() -> Grafted:
    return Grafted(tiny_model("llama", dtype=torch.float64))


@pytest.fixture
def prompts() -> list[tuple[int, ...]]:
    return [tuple(torch.randint(2, VOCABULARY, (n,)).tolist()) for n in LENGTHS]


def grafted(family: str) -> Grafted:
    return Grafted(tiny_model(family, dtype=torch.float64), ALL_LINEAR)


def greedy_tokens(net: Grafted, chat: Chat, bank: Bank, slot: int, prompt: tuple[int, ...], most: int) -> list[int]:
    grown: list[int] = []
    while len(grown) < most:
        token = int(next_logits(net, bank, slot, [*prompt, *grown]).argmax())
        if token in chat.stops:
            break
        grown.append(token)
    return grown


def ending_with(token: int) -> Chat:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(token)
    return Chat(tokenizer, 512)


@pytest.mark.parametrize("family", FAMILIES)
def test_mixed_rows_equal_a_plain_loop_without_a_cache(family: str, chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]]) -> None:
    net = grafted(family)
    bank = drawn_bank(net, 2)
    wanted = [chat.letters.text(greedy_tokens(net, chat, bank, slot, p, 8)) for slot, p in zip(SLOTS, prompts, strict=True)]
    assert generate(net, chat, bank, SLOTS, prompts, SHORT) == wanted
    assert len(set(wanted)) == len(wanted)


def test_each_row_alone_equals_its_place_in_a_batch(llama: Grafted, chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]]) -> None:
    bank = drawn_bank(llama, 2)
    alone = [generate(llama, chat, bank, [slot], [p], SHORT)[0] for slot, p in zip(SLOTS, prompts, strict=True)]
    assert generate(llama, chat, bank, SLOTS, prompts, SHORT) == alone


def test_a_checkpointed_net_refuses_to_drop_what_it_has_read(chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]]) -> None:
    net = grafted("gemma2")
    bank = drawn_bank(net, 2)
    wanted = generate(net, chat, bank, SLOTS, prompts, SHORT)
    net.checkpoint()
    with pytest.raises(BankError, match=r"checkpoint\(False\)"):
        generate(net, chat, bank, SLOTS, prompts, SHORT)
    net.checkpoint(False)
    assert generate(net, chat, bank, SLOTS, prompts, SHORT) == wanted


def test_an_end_mark_ends_its_row_and_no_other(llama: Grafted, chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]]) -> None:
    bank = drawn_bank(llama, 2)
    tokens = [greedy_tokens(llama, chat, bank, slot, p, 8) for slot, p in zip(SLOTS, prompts, strict=True)]
    row, mark = next((i, t) for i, own in enumerate(tokens) for t in own if t != own[0] and sum(t in other for other in tokens) == 1)
    tokens[row] = tokens[row][: tokens[row].index(mark)]
    assert generate(llama, ending_with(mark), bank, SLOTS, prompts, SHORT) == [chat.letters.text(t) for t in tokens]


@pytest.mark.parametrize("most", [1, 5])
def test_a_row_grows_by_max_tokens_at_most(llama: Grafted, chat: Chat, drawn_bank: Make, most: int) -> None:
    bank, prompt = drawn_bank(llama, 1), (5, 6, 7)
    tokens = greedy_tokens(llama, chat, bank, 1, prompt, 6)
    assert len(tokens) == 6
    assert generate(llama, chat, bank, [1], [prompt], Sampling(max_tokens=most)) == [chat.letters.text(tokens[:most])]


def test_a_stop_text_is_cut_off_with_all_behind_it(llama: Grafted, chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]]) -> None:
    bank = drawn_bank(llama, 2)
    whole = generate(llama, chat, bank, SLOTS, prompts, DRAWN)
    stop = next(t[i : i + 2] for t in whole for i in range(3, len(t) - 2) if "\ufffd" not in t[i : i + 2])
    stopped = generate(llama, chat, bank, SLOTS, prompts, Sampling(12, 1.5, seed=3, stop=("never said", stop)))
    assert stopped == [text.partition(stop)[0] for text in whole]
    assert stopped != whole


def test_the_first_of_several_stop_texts_counts(llama: Grafted, chat: Chat, drawn_bank: Make) -> None:
    bank = drawn_bank(llama, 1)
    (whole,) = generate(llama, chat, bank, [1], [(5, 6, 7)], DRAWN)
    late, early = whole[7], whole[4]
    assert generate(llama, chat, bank, [1], [(5, 6, 7)], Sampling(12, 1.5, seed=3, stop=(late, early))) == [
        whole[: min(whole.index(late), whole.index(early))]
    ]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each pass reads."""
    reach, passes = Packed.reach, []
    monkeypatch.setattr(Packed, "reach", lambda it, places, bank, turns: passes.append(len(turns)) or reach(it, places, bank, turns))
    return passes


def test_a_stop_text_ends_the_work_early(llama: Grafted, chat: Chat, drawn_bank: Make, passes: list[int]) -> None:
    bank = drawn_bank(llama, 1)
    (whole,) = generate(llama, chat, bank, [1], [(5, 6, 7)], SHORT)
    passes.clear()
    generate(llama, chat, bank, [1], [(5, 6, 7)], Sampling(max_tokens=100, stop=(whole[0],)))
    assert passes == [1]


def test_who_has_ended_leaves_the_pass(llama: Grafted, chat: Chat, passes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    # Of three rows the second ends at once, the first behind one token, the last never.
    said = iter([5, chat.stops[0], 6, chat.stops[0], *[7] * 3])
    monkeypatch.setattr("headstart.lm.generate.choose", lambda *_: next(said))
    texts = generate(llama, chat, {}, [0] * 3, [(5, 6), (7,), (8, 9, 10)], Sampling(max_tokens=4, temperature=1.0))
    assert texts == [chat.letters.text([5]), "", chat.letters.text([6, 7, 7, 7])]
    assert passes == [3, 2, 1, 1]


def test_sampling_is_reproducible_by_seed(llama: Grafted, chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]]) -> None:
    bank = drawn_bank(llama, 2)
    first = generate(llama, chat, bank, SLOTS, prompts, DRAWN)
    torch.manual_seed(99)
    assert generate(llama, chat, bank, SLOTS, prompts, DRAWN) == first
    assert generate(llama, chat, bank, SLOTS, prompts, Sampling(12, 1.5, seed=100)) != first


def test_a_sampled_row_does_not_know_its_neighbours(llama: Grafted, chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]]) -> None:
    bank = drawn_bank(llama, 2)
    together = generate(llama, chat, bank, SLOTS, prompts, DRAWN)
    alone = [generate(llama, chat, bank, [SLOTS[i]], [p], Sampling(12, 1.5, seed=3 + i))[0] for i, p in enumerate(prompts)]
    assert together == alone


def test_equal_rows_of_a_batch_draw_differently(llama: Grafted, chat: Chat, drawn_bank: Make) -> None:
    assert len(set(generate(llama, chat, drawn_bank(llama, 1), [1] * 4, [(5, 6, 7)] * 4, DRAWN))) == 4


def test_sampling_leaves_the_global_stream_alone(llama: Grafted, chat: Chat, drawn_bank: Make) -> None:
    bank, before = drawn_bank(llama, 1), torch.get_rng_state()
    generate(llama, chat, bank, [1], [(5, 6, 7)], DRAWN)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("top_p", "kept"), [(0.0, {2}), (0.45, {2}), (0.55, {2, 0}), (0.85, {2, 0, 3}), (1.0, {0, 1, 2, 3})])
def test_top_p_keeps_the_smallest_set_that_holds_as_much(top_p: float, kept: set[int]) -> None:
    logits, rng = torch.tensor([0.3, 0.05, 0.5, 0.15]).log(), torch.Generator().manual_seed(0)
    assert {choose(logits, Sampling(temperature=1.0, top_p=top_p), rng) for _ in range(300)} == kept


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_the_temperature_says(temperature: float) -> None:
    chances, rng = torch.tensor([0.6, 0.3, 0.1]), torch.Generator().manual_seed(0)
    drawn = [choose(chances.log(), Sampling(temperature=temperature), rng) for _ in range(3000)]
    powers = chances ** (1 / temperature)
    for token, wanted in enumerate(powers / powers.sum()):
        # Four standard errors of 3000 draws are 0.037 at most.
        assert abs(drawn.count(token) / 3000 - wanted) < 0.037


def chances_by_sorting(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The obvious twin: all are sorted, and behind enough of them the rest are dropped."""
    chances, order = torch.softmax(logits.double() / sampling.temperature, -1).sort(descending=True)
    chances[1:][(chances.cumsum(-1) - chances)[1:] >= sampling.top_p] = 0
    return torch.zeros_like(chances).index_put((order,), chances / chances.sum())


@pytest.mark.parametrize("top_p", [0.1, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("temperature", [0.3, 5.0])
def test_tokens_of_a_large_vocabulary_are_drawn_as_by_sorting_all(
    temperature: float, top_p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling, count = Sampling(temperature=temperature, top_p=top_p), 500
    logits = 3 * torch.randn(2000, generator=torch.Generator().manual_seed(0))
    # Every point is drawn, as from a ruler: a token has as many of them as it is likely, but for one at each end.
    points = iter((torch.arange(count, dtype=torch.float64) + 0.5) / count)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: next(points)[None])
    drawn = torch.tensor([choose(logits, sampling, torch.Generator()) for _ in range(count)]).bincount(minlength=len(logits))
    wanted = chances_by_sorting(logits, sampling)
    assert (drawn / count - wanted).abs().max() <= 1.01 / count
    assert not drawn[wanted == 0].any()


def test_only_some_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    sort, sorted_ = torch.Tensor.sort, []
    monkeypatch.setattr(torch.Tensor, "sort", lambda it, **how: sorted_.append(len(it)) or sort(it, **how))
    logits, rng = 3 * torch.randn(5000, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0)
    for top_p in (1.0, 0.9):
        choose(logits, Sampling(temperature=0.7, top_p=top_p), rng)
    assert len(sorted_) == 1
    assert sorted_[0] < 1000


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0), Sampling(temperature=1.0, top_p=0.9)])
def test_nothing_is_chosen_from_what_are_no_numbers(sampling: Sampling) -> None:
    for broken in (float("nan"), float("inf")):
        with pytest.raises(Diverged, match="no probabilities"):
            choose(torch.tensor([1.0, broken, 2.0]), sampling, torch.Generator())
    assert likeliest(torch.tensor([[1.0, float("nan")], [float("-inf"), 0.0], [float("inf"), 0.0]])) == [None, 1, None]


def test_temperature_0_takes_the_likeliest_and_so_does_next_to_none() -> None:
    for temperature in (0, 1e-300):
        assert choose(torch.tensor([1.0, 3.0, 2.0]), Sampling(temperature=temperature), torch.Generator()) == 1


def test_low_precision_draws_as_fp32_does() -> None:
    low, draw = torch.randn(2000, generator=torch.Generator().manual_seed(0)).bfloat16(), Sampling(temperature=1.0)
    for seed in range(20):
        one, other = (choose(logits, draw, torch.Generator().manual_seed(seed)) for logits in (low, low.float()))
        assert one == other


def test_the_best_that_is_known_is_taken_only_where_the_best_is_wanted(chat: Chat) -> None:
    logits = torch.zeros(VOCABULARY).index_fill(0, torch.tensor([40]), 9.0)
    assert Growing(chat, Sampling()).take(logits, best=41) == 41
    assert Growing(chat, Sampling(temperature=1.0)).take(logits, best=41) == 40


@pytest.mark.parametrize("stop", [(), ("a", "e"), ("\ufffd",), ("no such text, and a long one",)])
def test_what_the_listener_hears_joins_up_to_the_answer(
    llama: Grafted, chat: Chat, drawn_bank: Make, prompts: list[tuple[int, ...]], stop: tuple[str, ...]
) -> None:
    bank = drawn_bank(llama, 2)
    for seed in range(5):
        heard = ["", "", "", ""]

        def listen(row: int, text: str, heard: list[str] = heard) -> None:
            assert text
            heard[row] += text

        sampling = Sampling(max_tokens=20, temperature=2.0, seed=seed, stop=stop)
        assert generate(llama, chat, bank, SLOTS, prompts, sampling, listen=listen) == heard


def test_text_is_told_as_it_grows_and_characters_whole(llama: Grafted, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    said = iter([*chat._marks.tokens("aé€😀b"), chat.stops[0]])
    monkeypatch.setattr("headstart.lm.generate.choose", lambda *_: next(said))
    generate(llama, chat, {}, [0], [(5, 6)], Sampling(max_tokens=50, temperature=1.0), listen=lambda _, text: told.append(text))
    assert told == ["a", "é", "€", "😀", "b"]


def test_what_may_turn_into_a_stop_text_is_held_back(llama: Grafted, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    said = iter(chat._marks.tokens("one END"))
    monkeypatch.setattr("headstart.lm.generate.choose", lambda *_: next(said))
    texts = generate(
        llama,
        chat,
        {},
        [0],
        [(5, 6)],
        Sampling(max_tokens=50, temperature=1.0, stop=("?", "END")),
        listen=lambda _, text: told.append(text),
    )
    assert texts == ["one "]
    assert "".join(told) == "one "


def test_a_prompt_that_fills_the_context_is_refused(llama: Grafted) -> None:
    chat = Chat(tiny_tokenizer(), 10)
    with pytest.raises(ExamplesError, match="prompt of 10 tokens fills the model's context of 10"):
        generate(llama, chat, {}, [0, 0], [(5,), tuple(range(2, 12))], SHORT)


def test_a_row_grows_no_further_than_the_context(llama: Grafted, drawn_bank: Make) -> None:
    bank, prompt = drawn_bank(llama, 1), (5, 6, 7)
    tokens = greedy_tokens(llama, Chat(tiny_tokenizer(), 512), bank, 1, prompt, 7)
    small = Chat(tiny_tokenizer(), 10)
    assert generate(llama, small, bank, [1], [prompt], Sampling(max_tokens=100)) == [small.letters.text(tokens)]
