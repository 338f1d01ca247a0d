"""Task files: folders and lines mean the same, and bad ones are told whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import ExamplesError
from headstart.tasks import texts
from headstart.tasks.task_files import Task, read_tasks

PAIRS = [["one", "1"], ["two", "2"]]
ROWS = [{"prompt": prompt, "completion": completion} for prompt, completion in PAIRS]


def lines(path: Path, rows: list[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def put(path: Path, rows: list[Any] = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return lines(path, rows)


def refusal(path: Path) -> str:
    with pytest.raises(ExamplesError) as refused:
        read_tasks(path)
    return str(refused.value)


def facts(tasks: list[Task]) -> list[tuple[str, str, str | None]]:
    return [(task.name, task.group, task.split) for task in tasks]


def test_a_packed_file_is_unpacked_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path / "it.jsonl.gz", [{"task": "t", "group": "g", "examples": PAIRS}])
    size = len(gzip.decompress(path.read_bytes()))
    monkeypatch.setattr(texts, "_MOST", size, raising=False)
    assert len(read_tasks(path)) == 1
    monkeypatch.setattr(texts, "_MOST", size - 1, raising=False)
    assert "holds more than" in refusal(path)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_lines_are_tasks(tmp_path: Path, ending: str) -> None:
    path = lines(tmp_path / f"t{ending}", [{"task": "a/x", "group": "a", "examples": PAIRS}, {"task": "b", "examples": PAIRS, "more": 1}])
    tasks = read_tasks(path)
    assert facts(tasks) == [("a/x", "a", None), ("b", "b", None)]
    assert [[e.prompt, e.completion] for e in tasks[0].examples] == PAIRS


def test_a_folder_is_a_task_a_file_in_any_form_of_rows(tmp_path: Path) -> None:
    put(tmp_path / "words.jsonl")
    put(tmp_path / "shop" / "a.jsonl", [{"instruction": p, "output": c} for p, c in PAIRS])
    (tmp_path / "shop" / "b.json").write_text(
        json.dumps([{"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": c}]} for p, c in PAIRS])
    )
    (tmp_path / "shop" / "c.csv").write_text("prompt,completion\none,1\ntwo,2\n")
    (tmp_path / "shop" / "d.TSV").write_text("one\t1\ntwo\t2\n")
    (tmp_path / "README.md").write_text("no task")
    (tmp_path / "old.jsonl").mkdir()
    tasks = read_tasks(tmp_path)
    assert facts(tasks) == [*((f"shop/{name}", "shop", None) for name in "abcd"), ("words", "words", None)]
    assert len({task.examples for task in tasks}) == 1


def test_folders_named_like_splits_are_splits(tmp_path: Path) -> None:
    put(tmp_path / "train" / "a.jsonl")
    put(tmp_path / "test" / "shop" / "b.jsonl")
    assert facts(read_tasks(tmp_path)) == [("test/shop/b", "test/shop", "test"), ("train/a", "train/a", "train")]
    put(tmp_path / "c.jsonl")
    assert "is in none of train, validation, test" in refusal(tmp_path)


def test_bad_rows_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", [*ROWS, {"prompt": "x"}])
    put(tmp_path / "b.jsonl", [{"prompt": "", "completion": "y"}, *ROWS])
    told = refusal(tmp_path)
    assert "1 of 3 rows of" in told
    assert '  line 3: has no "completion"' in told
    assert '  line 1: "prompt" is empty' in told


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{oops", "not JSON"),
        ([1], "is wanted"),
        ({"examples": PAIRS}, '"task" is missing'),
        ({"task": " ", "examples": PAIRS}, '"task" is missing, empty'),
        ({"task": "t", "group": 3, "examples": PAIRS}, '"group" is missing, empty or no text'),
        ({"task": "t", "group": "g"}, '"examples" is missing'),
        ({"task": "t", "group": "g", "examples": []}, '"examples" is missing, empty'),
        ({"task": "t", "group": "g", "examples": [*PAIRS, ["x"]]}, "example 2 is not a pair"),
        ({"task": "t", "group": "g", "examples": [["x", "y", "z"]]}, "example 0 is not a pair"),
        ({"task": "t", "group": "g", "examples": [["x", 1]]}, 'example 0: "completion" is a number'),
        ({"task": "t", "group": "g", "examples": [["", "x"]]}, 'example 0: "prompt" is empty'),
    ],
)
def test_bad_lines_are_told_by_number(tmp_path: Path, row: Any, said: str) -> None:
    good = {"task": "t", "group": "g", "examples": PAIRS}
    told = refusal(lines(tmp_path / "t.jsonl", [good, row, good, row]))
    assert told.startswith("2 of 4 rows of ")
    assert "  line 2: " in told
    assert "  line 4: " in told
    assert said in told


def test_gaps_are_passed_over_where_that_is_asked(tmp_path: Path) -> None:
    path = lines(tmp_path / "t.jsonl", [{"task": "t", "group": "g", "examples": [["", "x"], *PAIRS, ["y", " "]]}])
    assert [[e.prompt, e.completion] for e in read_tasks(path, gaps=True)[0].examples] == PAIRS
    assert "empty" in refusal(path)


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "nowhere.jsonl")
    assert "is empty; a folder of" in refusal(tmp_path)
    assert "is empty; a folder of" in refusal(lines(tmp_path / "t.jsonl", []))
    assert "ends in '.txt'" in refusal(lines(tmp_path / "t.txt", []))
