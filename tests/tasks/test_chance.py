"""Random numbers without state: the same wherever they are asked for, and random."""

import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.tasks.chance import bits, uniform

WHOLE, STEP = 1 << 64, 0x9E3779B97F4A7C15
NUMBERS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4)


def mixed(z: int) -> int:
    """SplitMix64's finaliser, in whole numbers without sign."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WHOLE
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WHOLE
    return z ^ (z >> 31)


def bits_by_loop(stream: str, numbers: list[int], width: int) -> list[list[int]]:
    start = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "big")
    rows = [mixed((number * STEP + start) % WHOLE) for number in numbers]
    return [[mixed((row + j * STEP) % WHOLE) for j in range(1, width + 1)] for row in rows]


def test_the_finaliser_is_splitmix64s() -> None:
    # The first outputs of the published generator from state 0.
    assert [mixed(STEP), mixed(2 * STEP % WHOLE)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@given(st.sampled_from(["", "0/train/classes", "☃"]), NUMBERS, st.integers(0, 4))
def test_bits_equal_a_loop_in_whole_numbers(stream: str, numbers: list[int], width: int) -> None:
    got = [[bit % WHOLE for bit in row] for row in bits(stream, torch.tensor(numbers), width).tolist()]
    assert got == bits_by_loop(stream, numbers, width)


@given(NUMBERS, st.integers(1, 5), st.integers(0, 5))
def test_a_number_has_its_bits_whatever_else_is_drawn_and_however_many(numbers: list[int], width: int, more: int) -> None:
    together = bits("s", torch.tensor(numbers), width + more)
    for i, number in enumerate(numbers):
        assert torch.equal(bits("s", torch.tensor([number]), width)[0], together[i, :width])


def test_streams_numbers_and_places_are_independent() -> None:
    numbers = torch.arange(20_000)
    one, other = uniform("one", numbers, 4), uniform("other", numbers, 4)
    columns = torch.cat([one, other, one.roll(1, 0)], 1)
    off = torch.corrcoef(columns.T).fill_diagonal_(0)
    assert off.abs().max() < 0.04


def test_uniform_numbers_fill_their_range_evenly() -> None:
    drawn = uniform("s", torch.arange(10_000), 10, -5.0, 5.0)
    assert drawn.dtype == torch.float64
    assert -5 <= drawn.min() < -4.99
    assert 4.99 < drawn.max() < 5
    counts = torch.histc(drawn, bins=20, min=-5, max=5)
    assert ((counts - 5000).square() / 5000).sum() < 45  # chi-square with 19 degrees of freedom: 1 in 1000
