import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from headstart.errors import RunRefused
from headstart.train.checkpoint import FACTS, TENSORS, learned, pack, unpack
from headstart.train.meta import State, meta_train
from tests.train.test_meta import equal
from tests.train.toys import EXACT, job

BEGIN = job().begin()


def state_after(steps: int) -> State:
    it = job(steps)
    return list(meta_train(it.learner, EXACT.tasks(it.tasks), it.outer, it.watch, it.judge, BEGIN))[-1]


@pytest.mark.parametrize("steps", [1, 5, 7, 20])
def test_a_state_comes_back_bit_for_bit(steps: int) -> None:
    state = state_after(steps)
    back = unpack(pack(state), BEGIN)
    assert equal(back, state)
    assert back.score == state.score


def test_a_state_that_waits_for_a_better_one_comes_back() -> None:
    state = replace(state_after(7), waited=2, judged=5, step=9, loss=0.1)
    assert equal(unpack(pack(state), BEGIN), state)


def test_a_state_before_any_step_comes_back() -> None:
    assert equal(unpack(pack(BEGIN), BEGIN), BEGIN)


def test_names_come_back_in_the_learner_s_order() -> None:
    state = unpack(pack(state_after(5)), BEGIN)
    assert list(state.meta) == ["b.slope", "a.level"]
    assert state.best is not None
    assert list(state.best.meta) == ["b.slope", "a.level"]


def test_what_was_learned_is_the_best_or_else_the_last() -> None:
    state = state_after(5)
    assert state.best is not None
    best = {name: w + 1 for name, w in state.meta.items()}
    for at, wanted in ((replace(state.best, meta=best), best), (None, state.meta)):
        found = learned(pack(replace(state, best=at)))
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], w) for name, w in wanted.items())
    with pytest.raises(RunRefused, match="checkpoint cannot be read"):
        learned({TENSORS: b"junk"})


@pytest.mark.parametrize("name", [TENSORS, FACTS])
@pytest.mark.parametrize("content", [b"", b"\xff\x00junk", b"{}", b"[]", b"null"])
def test_a_damaged_file_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(RunRefused, match=r"checkpoint cannot be read .*--fresh"):
        unpack(pack(state_after(5)) | {name: content}, BEGIN)


def test_a_file_cut_short_is_refused() -> None:
    files = pack(state_after(5))
    for name, content in files.items():
        with pytest.raises(RunRefused):
            unpack(files | {name: content[: len(content) // 2]}, BEGIN)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"meta.a.level": None}, "meta a.level"),
        ({"meta.c": torch.ones(1)}, "meta c"),
        ({"best.b.slope": torch.ones(3, dtype=torch.float64)}, "best b.slope"),
        ({"moments.second": None}, "moments second"),
        ({"meta.b.slope": torch.ones(2)}, "meta b.slope"),
    ],
)
def test_tensors_of_another_learner_are_refused_by_name(change: dict[str, torch.Tensor | None], told: str) -> None:
    files = pack(state_after(5))
    tensors = {name: w for name, w in (load(files[TENSORS]) | change).items() if w is not None}
    with pytest.raises(RunRefused, match=f"{told} are not this learner's"):
        unpack(files | {TENSORS: save(tensors)}, BEGIN)


def test_the_facts_are_plain_json() -> None:
    facts = json.loads(pack(state_after(7))[FACTS])
    assert (facts["step"], facts["judged"], facts["best"]["step"]) == (7, 7, 7)
