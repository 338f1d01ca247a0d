"""docs/guide/errors.md says of each trouble what the program itself says, word for word."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from headstart.adapters.store import BaseKey, Shelf
from headstart.commands import doctor, opening
from headstart.episode import Example
from headstart.errors import HeadstartError
from headstart.lm import quantised
from headstart.lm.load import Base
from headstart.plan import installed, machine
from headstart.plan.cards import Place, gpu
from headstart.plan.clock import Speed
from headstart.plan.finding import Finding
from headstart.plan.installed import Build
from headstart.teach import Beginning, Recipe, room
from headstart.teach.report import Answer, Report, Score

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "errors.md"
Shown = Iterator[tuple[str, str]]
KEY = {"content": "5d3b1e0cf7aa", "tokenizer": "91c3d7d8c2f0", "template": "07af6c4be9d1"}


def as_doctor_prints(it: Finding) -> str:
    assert it.level != "ok"
    return f"{it.about}: {it.what.rstrip('.')}. {it.why} mend: {it.mend}"


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(HeadstartError) as caught:
        work()
    return f"{caught.value.word}: {caught.value}"


def cards_that_are_not_seen() -> Iterator[Finding]:
    for cuda, hip, nvidia, amd in ((None, None, "RTX 4090, 550", False), ("12.8", None, "RTX 4090, 470", False)):
        yield installed.device(Build("2.13.0", cuda, hip, None, nvidia, amd, metal=False))
    for hip in (None, "6.4"):
        yield installed.device(Build("2.13.0", None, hip, None, None, amd=True, metal=False))
    yield installed.device(Build("2.13.0", None, None, None, None, amd=False, metal=True))


def what_is_slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Finding]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(8), raising=False)
    yield machine.threads()
    yield machine.precision("float32")
    yield machine.pace(Speed(9e12, 200e9, "measured here"), gpu("NVIDIA GeForce RTX 4090", 24 << 30, 24 << 30, "its driver"))


def what_is_short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Finding]:
    yield machine.memory(Place("this machine", 600_000_000, False, whole=4_000_000_000), "bf16")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 300_000_000}))
    yield next(machine.disk(Path("~/.local/share/headstart")))


def of_one_model(tell: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What is said where a base of seven billion does not fit."""
    monkeypatch.setattr(opening, "native_dtype", lambda _: torch.bfloat16)
    for free in (7, 3):
        monkeypatch.setattr(opening, "place_of", lambda device, free=free: Place("this machine", free * 10**9, gpu=False))
        said: list[str] = []
        monkeypatch.setattr(opening.screen, "warn", said.append)
        if free == 7:
            opening.by_room("meta-llama/Llama-2-7b-hf", "adapt", torch.device("cpu"))
            yield said[0]
        else:
            yield refused(lambda: opening.by_room("meta-llama/Llama-2-7b-hf", "adapt", torch.device("cpu")))


def of_teaching(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    examples, begun = [Example.pair("a" * 60, "b" * 20)] * 6, [Beginning("none", Recipe(target=("q_proj",)))]
    monkeypatch.setattr(room.heap, "lean", lambda: True)
    monkeypatch.setattr(room, "place_of", lambda device: Place("this machine", 0, gpu=False))
    yield refused(lambda: room.within(tiny, examples, begun, lambda _: None, lambda _: None)).partition(" GB are free")[2]
    monkeypatch.setattr(room, "place_of", lambda device: Place("this machine", 10**12, gpu=False))
    said: list[str] = []

    def work(_: object) -> None:
        raise MemoryError

    yield refused(lambda: room.within(tiny, examples, begun, work, said.append))
    yield from said


def of_an_adapter(tmp_path: Path) -> Iterator[str]:
    shelf = Shelf(tmp_path)
    weights = {f"model.layers.0.self_attn.q_proj.lora_{side}": torch.ones(shape) for side, shape in (("A", (2, 8)), ("B", (8, 2)))}
    shelf.write("my-dialect", weights, {"base": {"name": "Qwen/Qwen2.5-0.5B", **KEY}}, 1)
    here = BaseKey("HuggingFaceTB/SmolLM2-135M-Instruct", KEY["content"], "2b44c0ffee10", KEY["template"])
    yield refused(lambda: shelf.read("my-dialect", here))
    yield refused(lambda: shelf.read("my-dialct", here))


def verdicts() -> Iterator[str]:
    for adapter, prompt in ((0.2, 0.6), (0.0, 0.0)):
        ways = {"base": Score(0.0, 1.0), "prompt": Score(prompt, 1.1), "weights": Score(adapter, 1.2)}
        yield Report(ways, [Answer("", "a", dict.fromkeys(ways, "a"))] * 10, 3, 6).advice.split(" On so few")[0]


def test_the_page_has_every_text(tiny: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not PAGE.is_file():
        pytest.skip("the documents are not here")
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    findings = [*cards_that_are_not_seen(), *what_is_slow(monkeypatch), *what_is_short(monkeypatch)]
    texts = [as_doctor_prints(it) for it in findings] + [*of_an_adapter(tmp_path), *verdicts()]
    texts += [*of_teaching(tiny, monkeypatch), *of_one_model(print, monkeypatch)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    texts.append(refused(lambda: quantised.config_of(4, torch.bfloat16)))
    assert [text for text in texts if " ".join(text.split()) not in page] == []


def test_doctor_prints_findings_as_the_page_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    found = installed.device(Build("2.13.0", None, None, None, None, amd=True, metal=False))
    doctor._show([found])
    assert as_doctor_prints(found) in " ".join(capsys.readouterr().out.split())
