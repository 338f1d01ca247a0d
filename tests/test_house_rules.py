"""Rules of the house that no linter knows: sizes, names, who imports whom, and documents that are true."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from headstart.cli import app

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "headstart").rglob("*.py"))
SOURCES = PACKAGE + [p for place in ("tests", "benchmarks", "examples") for p in sorted((ROOT / place).rglob("*.py"))]
README = ROOT / "README.md"


def told(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_sources_are_found() -> None:
    assert {"headstart/bank.py", "headstart/lm/load.py", "tests/test_house_rules.py"} <= {told(p) for p in SOURCES}


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {told(p): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def test_every_module_says_what_it_is() -> None:
    # A test says it by its names, and ruff looks after the package's classes and functions.
    modules = [p for p in SOURCES if p.relative_to(ROOT).parts[0] != "tests"]
    assert [told(p) for p in modules if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "helpers", "common", "misc", "core", "manager", "handler", "wrapper", "data", "info", "new", "v2"}
    assert [told(p) for p in SOURCES if empty & {part.removesuffix(".py") for part in p.relative_to(ROOT).parts}] == []


def test_only_the_lm_rooms_know_transformers() -> None:
    strangers = [p for p in PACKAGE if p.parent.name != "lm" and any(name.split(".")[0] == "transformers" for name in imports(p))]
    assert [told(p) for p in strangers] == []


def test_nothing_is_ever_unpickled() -> None:
    banned = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert [told(p) for p in PACKAGE if banned & {name.split(".")[0] for name in imports(p)}] == []
    assert [told(p) for p in PACKAGE if "torch.load(" in p.read_text(encoding="utf-8")] == []


def test_the_command_line_opens_without_torch() -> None:
    heavy = "import sys, headstart.cli; print(sorted({'torch', 'transformers', 'rich.table', 'safetensors'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_file_names_a_place_on_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    # Put together here, as this file is listed too.
    places = [f"/{name}/".encode() for name in ("work", "tmp/w")]
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    assert [told(p) for p in paths if p.is_file() and any(place in p.read_bytes() for place in places)] == []


def commands() -> dict[tuple[str, ...], typer._click.Command]:
    """Every command by its words."""
    found: dict[tuple[str, ...], typer._click.Command] = {}

    def walk(words: tuple[str, ...], command: typer._click.Command) -> None:
        found[words] = command
        for name, inner in getattr(command, "commands", {}).items():
            walk((*words, name), inner)

    walk((), typer.main.get_command(app))
    return found


def readme_lines() -> list[str]:
    """The shell lines of the README that run headstart."""
    if not README.is_file():
        return []
    blocks = re.findall(r"^```(?:console|shell|sh|bash)\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("headstart ")]


@pytest.mark.parametrize("line", readme_lines())
def test_the_readmes_commands_parse(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    words = shlex.split(line, comments=True)[1:]
    known = commands()
    name = max((key for key in known if key == tuple(words[: len(key)])), key=len)
    assert name, f"'{line}' names no command"
    known[name].make_context(" ".join(name), words[len(name) :])


def test_every_option_named_in_the_readme_is_there() -> None:
    if not README.is_file():
        pytest.skip("there is no README.md yet")
    options = {option for command in commands().values() for given in command.params for option in (*given.opts, *given.secondary_opts)}
    named = re.findall(r"`(--[a-z][a-z-]*)", README.read_text(encoding="utf-8"))
    assert set(named) <= options | {"--help"}


def test_every_command_and_option_has_help() -> None:
    for words, command in commands().items():
        assert command.help, f"{' '.join(words)} has no help"
        for given in command.params:
            if given.param_type_name == "option" and given.name != "help":
                assert getattr(given, "help", ""), f"{' '.join(words)} {given.name} has no help"


MADE = ("arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "randperm", "tensor", "zeros")
"""What torch makes tensors from nothing by."""


def test_the_rooms_of_language_models_say_where_each_tensor_is_made() -> None:
    # What says nothing is made on the processor, and fails where the base is on a GPU.
    rooms = [p for p in PACKAGE if p.relative_to(ROOT).parts[1] in ("lm", "serve", "teach")]
    calls = [(path, node) for path in rooms for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    made = [(path, it) for path, it in calls if isinstance(it.func, ast.Attribute) and ast.unparse(it.func.value) == "torch"]
    made = [(path, it) for path, it in made if it.func.attr in MADE]  # type: ignore[attr-defined]
    assert len(made) > 20
    assert [f"{told(path)}:{it.lineno}" for path, it in made if "device" not in {word.arg for word in it.keywords}] == []
