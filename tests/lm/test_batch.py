import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.lm.batch import Batch, Encoded


def test_targets_are_the_completion_and_each_is_predicted_one_place_before() -> None:
    batch = Batch.of([Encoded((11, 12, 13), (14, 15)), Encoded((21,), (22,))])
    assert batch.tokens.tolist() == [[11, 12, 13, 14, 15], [21, 22, 0, 0, 0]]
    assert batch.owner.tolist() == [0, 0, 1]
    assert batch.place.tolist() == [2, 3, 0]
    assert batch.labels.tolist() == [14, 15, 22]


def test_earlier_answers_are_targets_too() -> None:
    batch = Batch.of([Encoded((11, 12, 13, 14), (15,), earlier=(1, 3))])
    assert batch.place.tolist() == [0, 2, 3]
    assert batch.labels.tolist() == [12, 14, 15]


def test_a_target_counts_by_place_even_when_it_is_the_padding_id() -> None:
    assert Batch.of([Encoded((5,), (7, 0)), Encoded((5, 6), (7, 8))]).labels.tolist() == [7, 0, 7, 8]


def test_kept_hidden_states_are_padded_with_their_rows() -> None:
    below = [torch.full((3, 2), 1.0), torch.full((2, 2), 2.0)]
    batch = Batch.of([Encoded((1, 2), (3,)), Encoded((1,), (2,))], below)
    assert batch.below is not None
    assert batch.below[..., 0].tolist() == [[1.0, 1.0, 1.0], [2.0, 2.0, 0.0]]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=5))
def test_a_batch_holds_every_target_once(lengths: list[tuple[int, int]]) -> None:
    encoded = [Encoded(tuple(range(100, 100 + p)), tuple(range(200, 200 + c))) for p, c in lengths]
    batch = Batch.of(encoded)
    assert batch.labels.tolist() == [label for e in encoded for label in e.completion]
    assert torch.equal(batch.tokens[batch.owner, batch.place + 1], batch.labels)
