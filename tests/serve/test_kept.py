"""What was read before."""

import torch

from headstart.lm.places import Kv
from headstart.serve.kept import Kept


def kv(length: int) -> Kv:
    return [(torch.ones(1, length, 1), torch.ones(1, length, 1))]


def test_the_longest_common_beginning_is_found_but_never_a_whole_prompt() -> None:
    kept = Kept(10_000)
    kept.keep("a", (1, 2, 3, 4), kv(4))
    kept.keep("a", (1, 2, 9), kv(3))
    assert kept.longest("a", (1, 2, 3, 7))[1] == 3
    assert kept.longest("a", (1, 2, 3, 4))[1] == 3
    assert kept.longest("a", (1, 2, 9, 9))[1] == 3
    assert kept.longest("b", (1, 2, 3, 4)) == ([], 0)
    assert kept.longest("a", (5,)) == ([], 0)


def test_what_is_continued_is_given_up_and_the_longest_unused_go_first() -> None:
    kept = Kept(5 * 8)
    kept.keep("a", (1, 2), kv(2))
    kept.keep("a", (1, 2, 3), kv(3))
    assert (len(kept), kept.bytes) == (1, 24)
    kept.keep("b", (1, 2), kv(2))
    kept.longest("a", (1, 2, 3, 4))
    kept.keep("c", (1,), kv(1))
    assert [kept.longest(name, (1, 2, 3))[1] for name in "abc"] == [2, 0, 1]
    kept.keep("d", tuple(range(6)), kv(6))
    assert kept.longest("d", (0, 1)) == ([], 0)
    assert kept.bytes == 32


def test_content_that_was_replaced_under_its_name_is_given_up() -> None:
    kept = Kept(10_000)
    kept.keep("", (1, 2), kv(2))
    kept.keep("old", (1, 2), kv(2), "a")
    kept.keep("old", (3, 4), kv(2), "a")
    kept.keep("other", (1, 2), kv(2), "b")
    kept.keep("new", (5, 6), kv(2), "a")
    assert (len(kept), kept.bytes) == (3, 48)
    assert [kept.longest(content, (1, 2, 3))[1] for content in ("", "old", "other", "new")] == [2, 0, 2, 0]
    # One that began before it was replaced ends.
    kept.keep("old", (1, 2, 3), kv(3), "a")
    kept.keep("new", (5, 6), kv(2), "a")
    assert (len(kept), kept.bytes) == (3, 48)
