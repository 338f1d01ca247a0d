"""What others want of the engine's thread."""

from __future__ import annotations

import time
from functools import partial
from threading import Timer

import pytest

from headstart.errors import Busy, EngineGone
from headstart.serve.inbox import Inbox


def test_work_is_done_in_the_order_in_which_it_came_and_none_behind_the_end() -> None:
    inbox = Inbox()
    done: list[int] = []
    for i in range(3):
        inbox.put(partial(done.append, i))
    assert (inbox.hear(0), done) == (True, [0, 1, 2])
    inbox.put(partial(done.append, 3))
    inbox.end(Busy("over"))
    assert (inbox.hear(0), done) == (False, [0, 1, 2, 3])


def test_what_was_said_first_of_the_end_stands() -> None:
    inbox = Inbox()
    assert inbox.end(Busy("first")) == inbox.end(EngineGone("later")) == "first"
    for late in (inbox.put, inbox.do):
        with pytest.raises(Busy, match="first"):
            late(list)


def test_the_first_of_it_is_waited_for_and_the_end_too() -> None:
    inbox, begun = Inbox(), time.monotonic()
    assert inbox.hear(0.05)
    assert time.monotonic() - begun >= 0.05
    Timer(0.05, inbox.end, [Busy("over")]).start()
    assert not inbox.hear(60)
    assert time.monotonic() - begun < 30


def test_what_comes_of_work_is_handed_back_and_what_breaks_it_harms_no_other() -> None:
    inbox = Inbox()
    Timer(0.01, inbox.hear, [60]).start()
    assert inbox.do(lambda: 7) == 7
    Timer(0.01, inbox.hear, [60]).start()
    with pytest.raises(ZeroDivisionError):
        inbox.do(lambda: 1 // 0)
