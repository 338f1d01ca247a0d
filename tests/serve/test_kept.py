"""What was read before."""

from contextlib import nullcontext

import pytest
import torch

from headstart.lm.places import Kv
from headstart.serve import kept as module
from headstart.serve.kept import Kept


def kv(length: int) -> Kv:
    return [(torch.ones(1, length, 1), torch.ones(1, length, 1))]


def refuse() -> Kv:
    raise RuntimeError("can't allocate memory")


def keep(kept: Kept, content: str, tokens: tuple[int, ...], name: str | None = None) -> None:
    kept.keep(content, tokens, 8 * len(tokens), lambda: kv(len(tokens)), name)


def test_the_longest_common_beginning_is_found_but_never_a_whole_prompt() -> None:
    kept = Kept(10_000)
    keep(kept, "a", (1, 2, 3, 4))
    keep(kept, "a", (1, 2, 9))
    assert kept.longest("a", (1, 2, 3, 7))[1] == 3
    assert kept.longest("a", (1, 2, 3, 4))[1] == 3
    assert kept.longest("a", (1, 2, 9, 9))[1] == 3
    assert kept.longest("b", (1, 2, 3, 4)) == ([], 0)
    assert kept.longest("a", (5,)) == ([], 0)


def test_what_is_continued_is_given_up_and_the_longest_unused_go_first() -> None:
    kept = Kept(5 * 8)
    keep(kept, "a", (1, 2))
    keep(kept, "a", (1, 2, 3))
    assert (len(kept), kept.bytes) == (1, 24)
    keep(kept, "b", (1, 2))
    kept.longest("a", (1, 2, 3, 4))
    keep(kept, "c", (1,))
    assert [kept.longest(name, (1, 2, 3))[1] for name in "abc"] == [2, 0, 1]
    keep(kept, "d", tuple(range(6)))
    assert kept.longest("d", (0, 1)) == ([], 0)
    assert kept.bytes == 32
    keep(kept, "d", tuple(range(5)))
    assert (len(kept), kept.bytes) == (1, 40), "all of the budget may be one's"


def test_content_that_was_replaced_under_its_name_is_given_up() -> None:
    kept = Kept(10_000)
    keep(kept, "", (1, 2))
    keep(kept, "old", (1, 2), "a")
    keep(kept, "old", (3, 4), "a")
    keep(kept, "other", (1, 2), "b")
    keep(kept, "new", (5, 6), "a")
    assert (len(kept), kept.bytes) == (3, 48)
    assert [kept.longest(content, (1, 2, 3))[1] for content in ("", "old", "other", "new")] == [2, 0, 2, 0]
    keep(kept, "newest", (5, 6), "a")
    assert [kept.longest(content, (5, 6, 7))[1] for content in ("new", "newest")] == [0, 2]
    # One that began before it was replaced ends.
    keep(kept, "old", (1, 2, 3), "a")
    keep(kept, "new", (5, 6), "a")
    assert (len(kept), kept.bytes) == (3, 48)


def test_what_finds_no_room_is_not_copied_and_a_copy_that_fails_is_as_if_it_had_not_been_asked_for() -> None:
    kept = Kept(3 * 8)
    for tokens in ((1, 2, 3, 4), (1, 2)):
        with pytest.raises(RuntimeError) if len(tokens) == 2 else nullcontext():
            kept.keep("a", tokens, 8 * len(tokens), refuse)
        assert (len(kept), kept.bytes) == (0, 0)


def test_no_more_are_kept_than_can_be_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    kept = Kept(10_000)
    for token in range(5):
        keep(kept, "a", (token,))
    assert [kept.longest("a", (token, 9))[1] for token in range(5)] == [0, 0, 1, 1, 1]
