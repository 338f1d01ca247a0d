import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from headstart import heap
from headstart.episode import Example
from headstart.lm.chat import Chat
from headstart.lm.load import Base
from headstart.lm.tiny import CHATML, tiny_tokenizer
from headstart.plan.cards import Place
from headstart.plan.moments import conversations
from headstart.teach import Beginning, Recipe, room

EXAMPLES = [Example.pair("a" * 60, "b" * 20) for _ in range(6)]
ASKED = [Beginning("none", Recipe(target=("q_proj",)))]


@pytest.fixture(autouse=True)
def ample(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heap of the tests' own process stays as it is."""
    monkeypatch.setattr(heap, "lean", lambda: True)


def ways(
    monkeypatch: pytest.MonkeyPatch,
    tiny: Base,
    memory: int,
    refuse: int = 0,
    error: BaseException | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Recipe]:
    """The recipes that are tried in so much memory, the first few of which are refused it."""
    monkeypatch.setattr(room, "place_of", lambda device: Place("it", memory, gpu=False))
    tried: list[Recipe] = []

    def work(begun: list[Beginning]) -> str:
        tried.append(begun[0].recipe)
        if len(tried) <= refuse:
            raise error or MemoryError
        return "done"

    assert room.within(tiny, EXAMPLES, ASKED, work, tell) == "done"
    return tried


def test_what_was_asked_for_is_done_where_there_is_room(monkeypatch: pytest.MonkeyPatch, tiny: Base) -> None:
    assert ways(monkeypatch, tiny, 10**9) == [ASKED[0].recipe]


def test_less_room_takes_another_way_and_says_so(monkeypatch: pytest.MonkeyPatch, tiny: Base) -> None:
    needs = [
        room.beside(room.model_of(tiny), setting, Place("", 0, gpu=False))
        for _, setting in room.rungs(room.setting_of(tiny, EXAMPLES, ASKED[0].recipe))
    ]
    assert needs[0] > needs[1] > needs[2]
    (recipe,) = ways(monkeypatch, tiny, int(needs[1] / room.TIGHT) + 1)
    assert (recipe.checkpoint, recipe.piece) == (True, 1024)
    said: list[str] = []
    (recipe,) = ways(monkeypatch, tiny, int(needs[2] / room.TIGHT) + 1, tell=said.append)
    assert (recipe.checkpoint, recipe.piece, recipe.asked) == (True, 256, 1)
    assert said == ["memory is short: layers computed again, 256 tokens and one question at once"]
    with pytest.raises(room.NoRoom, match="are needed at the least"):
        ways(monkeypatch, tiny, needs[2] // 2)


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you")]
)
def test_memory_that_is_refused_leads_a_step_down(monkeypatch: pytest.MonkeyPatch, tiny: Base, error: BaseException) -> None:
    assert [recipe.checkpoint for recipe in ways(monkeypatch, tiny, 10**9, 2, error)] == [False, True, True]
    with pytest.raises(room.NoRoom, match="not enough memory for any"):
        ways(monkeypatch, tiny, 10**9, 3, error)


def test_a_target_that_is_not_there_is_left_to_whoever_bends_it(tiny: Base) -> None:
    begun, told = [Beginning("none", Recipe(target=("qproj",)))], list[str]()
    assert room.within(tiny, EXAMPLES, begun, lambda _: "asked", told.append) == "asked"
    assert told == []


def test_other_errors_pass(monkeypatch: pytest.MonkeyPatch, tiny: Base) -> None:
    with pytest.raises(RuntimeError, match="mat1"):
        ways(monkeypatch, tiny, 10**9, 1, RuntimeError("mat1 and mat2"))


def test_computing_layers_again_teaches_the_same(
    headstart: Callable, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "it.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"say {i}", "completion": str(i) * 3}) + "\n" for i in range(4)))
    told = []
    for name, rung in (("usual", 0), ("short", 1)):
        monkeypatch.setattr(room, "_first", lambda *_, rung=rung: rung)
        words = ("--base", base_folder, "--name", name, "--steps", "3", "--target", "q_proj,v_proj", "--start", "none", "--json")
        told.append(headstart("adapt", file, *words).json)
    assert told[1]["scores"]["adapter"]["loss"] == pytest.approx(told[0]["scores"]["adapter"]["loss"], rel=1e-4)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a limited process holds")
def test_a_limit_on_the_process_is_seen() -> None:
    code = "from headstart.plan.system import machine_memory; print(machine_memory()[1])"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (2**28, resource.getrlimit(resource.RLIMIT_DATA)[1]))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, preexec_fn=limit)
    assert 0 < int(done.stdout) < 2**28


def test_what_a_template_puts_before_the_first_example_is_counted_once(tiny: Base) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "Be brief.\n" + CHATML
    headed = Base(tiny.name, tiny.model, Chat(tokenizer, tiny.chat.context), tiny.content_hash)
    setting = room.setting_of(headed, EXAMPLES, Recipe())
    assert setting.head == len("Be brief.\n")
    assert conversations(room.model_of(headed).shape, setting, 3) == [len(headed.chat.chain(EXAMPLES[:3]))]
    assert room.setting_of(headed, EXAMPLES, Recipe(prefix=False)).head == 0
    assert room.setting_of(tiny, EXAMPLES, Recipe()).head == 0
