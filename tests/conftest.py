"""What many tests share: tiny bases on disk, a shelf of their own, and the command line in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from headstart import cli, screen
from headstart.bank import Bank
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, load
from headstart.lm.tiny import tiny_base

COLOURS = [{"prompt": word, "completion": word[0].upper()} for word in ("red", "green", "blue", "black")]


@dataclass(frozen=True)
class Told:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of a hundred thousand random weights, as a user would name it: a folder. Not to be written to."""
    return tiny_base(tmp_path_factory.mktemp("bases") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny(base_folder: Path) -> Base:
    """The same base, loaded, in the same format on every machine. Grafts must be removed again."""
    return load(str(base_folder), torch.float32)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder for this test alone."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    # The one for what is begun as a process of its own, the other as the consoles of this one may have a width already.
    monkeypatch.setenv("COLUMNS", "200")
    for console in (screen.OUT, screen.ERR):
        monkeypatch.setattr(console, "width", 200)
    return tmp_path / "home"


@pytest.fixture
def headstart(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """The command line as `main` runs it, error handling included."""

    def run(*words: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["headstart", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Told(code, out, err)

    return run


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A small examples file."""
    return write_jsonl(tmp_path / "colours.jsonl", COLOURS)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes to train on and two each to validate and test, five images of 16 by 16 a class. Not to be written to."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("images"), torch.Generator().manual_seed(0)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for number in range(count):
            place = folder / split / f"{split}{number}"
            place.mkdir(parents=True)
            for i in range(5):
                noise = torch.randint(0, 256, (16, 16), generator=rng, dtype=torch.uint8)
                Image.frombytes("L", (16, 16), bytes(noise.flatten().tolist())).save(place / f"{i}.png")
    return folder


def assert_bare(base: Base) -> None:
    """No graft is left on it."""
    assert not any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in base.model.modules())


def next_logits(net: Grafted, bank: Bank, slot: int, tokens: Sequence[int]) -> torch.Tensor:
    """The obvious twin of all that reads on from what was kept: everything is read at once. Logits behind the last token."""
    with torch.no_grad():
        return net(bank, torch.tensor([slot]), Batch.of([Encoded(tuple(tokens), (0,))]))[0]


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Rows as lines of JSON."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# Tiny models are faster on one thread than on several that wait for each other.
torch.set_num_threads(1)
settings.register_profile("headstart", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("headstart")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every run."""
    torch.manual_seed(0)
