"""Texts by topic: two shapes of rows mean the same, bad files are told whole, and an encoder makes them episodes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from headstart.errors import ExamplesError, TasksError
from headstart.tasks.episodes import ClassTasks
from headstart.tasks.topics import encode, read_topics

TOPICS = {f"topic {t}": [f"text {t} {i}" for i in range(4 + t)] for t in range(5)}
WORDS = [{"text": text, "label": label} for label, texts in TOPICS.items() for text in texts]
LINES = [{"task": f"set/{label}", "group": "set", "examples": [[text, label] for text in texts]} for label, texts in TOPICS.items()]


def write(path: Path, rows: list[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def lengths(texts: list[str]) -> Tensor:
    """An encoder: the numbers in a text."""
    return torch.tensor([[float(word) for word in text.split()[1:]] for text in texts])


def refusal(path: Path) -> str:
    with pytest.raises(ExamplesError) as refused:
        read_topics(path)
    return str(refused.value)


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
@pytest.mark.parametrize("rows", [WORDS, LINES], ids=["a text a line", "a task a line"])
def test_both_shapes_packed_or_not_mean_the_same(tmp_path: Path, name: str, rows: list[Any]) -> None:
    assert read_topics(write(tmp_path / name, [*rows, ""])) == TOPICS


def test_examples_of_any_shape_are_texts_and_their_labels(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "completion": "x"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "y"}]},
        {"instruction": "c", "input": "d", "output": "x"},
        {"conversations": [{"from": "human", "value": "e"}, {"from": "gpt", "value": "y"}]},
    ]
    assert read_topics(write(tmp_path / "t.jsonl", rows)) == {"x": ["a", "c\n\nd"], "y": ["b", "e"]}


def test_json_and_columns_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(WORDS))
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in WORDS))
    (tmp_path / "t.tsv").write_text("Text\tLabel\n" + "".join(f"{row['text']}\t{row['label']}\n" for row in WORDS))
    assert [read_topics(tmp_path / f"t.{ends}") for ends in ("json", "csv", "tsv")] == [TOPICS] * 3


def test_a_text_that_comes_twice_counts_once_and_labels_may_be_numbers(tmp_path: Path) -> None:
    rows = [{"text": "a ", "label": 3}, {"text": "a", "label": "3"}, {"text": "a", "label": 4}]
    assert read_topics(write(tmp_path / "t.jsonl", rows)) == {"3": ["a"], "4": ["a"]}


def test_features_stay_with_their_topics() -> None:
    held = encode(TOPICS, lengths)
    assert held.names == tuple(TOPICS)
    for c, name in enumerate(held.names):
        n = int(held.counts[c])
        assert torch.equal(held.read(torch.full((n,), c), torch.arange(n)), lengths(TOPICS[name]))


def test_episodes_are_drawn_over_features() -> None:
    tasks = ClassTasks({"train": encode(TOPICS, lengths)}, ways=3, shots=1, queries=2)
    episodes = tasks.draw("train", 0, 8)
    assert episodes.query.inputs.shape == (8, 6, 2)
    for inputs, targets in zip(episodes.query.inputs, episodes.query.targets, strict=True):
        assert len({(int(t), float(x[0])) for t, x in zip(targets, inputs, strict=True)}) == 3


def test_each_text_is_encoded_once_in_chunks_and_without_a_graph() -> None:
    weight, asked, told = torch.ones(2, requires_grad=True), [], []

    def encoder(texts: list[str]) -> Tensor:
        asked.extend(texts)
        return lengths(texts) * weight

    many = {"a": [f"text 0 {i}" for i in range(300)], "b": ["text 1 0"]}
    held = encode(many, encoder, lambda *facts: told.append(facts))
    assert asked == [*many["a"], *many["b"]]
    assert not held.items.requires_grad
    assert told == [("encoding texts", 256, 301), ("encoding texts", 301, 301)]


@pytest.mark.parametrize("encoder", [lambda texts: torch.ones(len(texts), 2).long(), lambda texts: torch.ones(1, 2)])
def test_an_encoder_that_gives_no_row_of_floats_a_text_is_refused(encoder: Any) -> None:
    with pytest.raises(TasksError, match="a row of floats each is wanted"):
        encode(TOPICS, encoder)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{oops", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([1], "is wanted"),
        ({"text": "a"}, 'has no "label"; {"text", "label"} or {"task", "examples"'),
        ({"label": "a"}, 'has no "text"'),
        ({"question": "a"}, "or an example whose completion is the label"),
        ({"prompt": "a"}, 'has no "completion"'),
        ({"text": " ", "label": "x"}, "a text is empty"),
        ({"text": "a", "label": True}, "a label is empty, or is neither text nor a whole number"),
        ({"text": "a", "label": 1.5}, "a label is empty, or is neither text nor a whole number"),
        ({"task": "t", "examples": [["a", "x"], ["a"]]}, "an example is not a pair"),
    ],
)
def test_bad_rows_are_told_by_line(tmp_path: Path, row: Any, said: str) -> None:
    told = refusal(write(tmp_path / "t.jsonl", [WORDS[0], row, WORDS[1], row]))
    assert told.startswith("2 of 4 rows of ")
    assert "  line 2: " in told
    assert "  line 4: " in told
    assert said in told


def test_of_many_bad_rows_ten_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "t.jsonl", [{}] * 13)).endswith("  and 3 more")


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "nowhere.jsonl")
    assert "is empty" in refusal(write(tmp_path / "t.jsonl", []))
    (tmp_path / "t.jsonl").write_bytes(b"\xff\xfe")
    assert "not UTF-8 text (byte 0)" in refusal(tmp_path / "t.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.jsonl")
    assert "ends in '.txt': examples files are .jsonl, .json, .csv or .tsv" in refusal(write(tmp_path / "t.txt", []))
    for broken in (b"plain", gzip.compress(b"text")[:-9], b"\x1f\x8b\x08" + bytes(20)):
        (tmp_path / "t.jsonl.gz").write_bytes(broken)
        assert "cannot be read" in refusal(tmp_path / "t.jsonl.gz")


@pytest.mark.parametrize(("name", "topics", "texts"), [("intents_clinc150", 150, 22_500), ("intents_banking77", 77, 13_000)])
def test_the_intent_sets_are_read_whole(shared: Path, name: str, topics: int, texts: int) -> None:
    read = read_topics(shared / "data" / "tasks" / f"{name}.jsonl.gz")
    assert len(read) == topics
    assert 0.99 * texts < sum(map(len, read.values())) <= 1.01 * texts
