"""Examples files: every shape in every format means the same, and a bad file is refused whole and told whole."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.tasks.texts import contradicting, numbered, read_examples, sniffed

PAIRS = [("List the crew,\nby age", 'PULL "name" @ crew'), ("naïve ☃ question", "answer, with a comma")]
SHAPES: dict[str, list[dict[str, Any]]] = {
    "pairs": [{"prompt": p, "completion": c} for p, c in PAIRS],
    "messages": [{"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": c}]} for p, c in PAIRS],
    "alpaca": [{"instruction": p, "input": "", "output": c} for p, c in PAIRS],
    "sharegpt": [{"conversations": [{"from": "human", "value": p}, {"from": "gpt", "value": c}]} for p, c in PAIRS],
}
WANTED = [Example.pair(p, c) for p, c in PAIRS]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def jsonl(rows: list[Any]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def refusal(path: Path, least: int = 1) -> str:
    with pytest.raises(ExamplesError) as refused:
        read_examples(path, least)
    return str(refused.value)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["e.jsonl", "e.ndjson", "e.json", "e.JSON"])
def test_the_four_shapes_mean_the_same(tmp_path: Path, shape: str, name: str) -> None:
    rows = SHAPES[shape]
    text = json.dumps(rows, indent=2) if name.lower().endswith(".json") else jsonl(rows)
    assert read_examples(write(tmp_path / name, text)) == WANTED


@pytest.mark.parametrize(
    ("header", "between"),
    [("prompt,completion", ""), ("Prompt, Completion ", ""), ("instruction,input,output", ",,"), ("instruction,output", "")],
)
def test_csv_means_the_same(tmp_path: Path, header: str, between: str) -> None:
    cells = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in pair] for pair in PAIRS]
    text = header + "\r\n" + "\r\n".join((between or ",").join(row) for row in cells) + "\r\n"
    assert read_examples(write(tmp_path / "e.csv", text)) == WANTED


@pytest.mark.parametrize("name", ["e.jsonl", "e.json", "e.csv"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, name: str) -> None:
    texts = {"e.jsonl": jsonl(SHAPES["pairs"][:1]), "e.json": json.dumps(SHAPES["pairs"][:1]), "e.csv": "prompt,completion\na,b"}
    plain = read_examples(write(tmp_path / name, texts[name]))
    assert read_examples(write(tmp_path / name, b"\xef\xbb\xbf" + texts[name].encode())) == plain


def test_blank_lines_and_blank_ends_are_nothing(tmp_path: Path) -> None:
    text = '\n\n{"prompt": " a ", "completion": "b\\n"}\r\n   \n{"prompt": "c", "completion": "d"}\n\n'
    assert read_examples(write(tmp_path / "e.jsonl", text)) == [Example.pair("a", "b"), Example.pair("c", "d")]
    assert read_examples(write(tmp_path / "e.csv", "prompt,completion\n\na,b\n\nc,d\n\n")) == [
        Example.pair("a", "b"),
        Example.pair("c", "d"),
    ]


def test_an_input_follows_its_instruction(tmp_path: Path) -> None:
    row = {"instruction": "Translate.", "input": "bonjour", "output": "hello"}
    assert read_examples(write(tmp_path / "e.jsonl", jsonl([row]))) == [Example.pair("Translate.\n\nbonjour", "hello")]
    assert read_examples(write(tmp_path / "e.jsonl", jsonl([row | {"input": None}]))) == [Example.pair("Translate.", "hello")]


def test_a_long_chat_keeps_its_turns_and_its_system_message(tmp_path: Path) -> None:
    said = [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    rows = [
        {"messages": [{"role": role, "content": text} for role, text in said]},
        {"conversations": [{"from": names[role], "value": text} for role, text in said]},
    ]
    assert read_examples(write(tmp_path / "e.jsonl", jsonl(rows))) == [Example(tuple(said))] * 2


def chat(*roles: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": "x"} for role in roles]}


BAD = [
    ('{"prompt": "a"', "not JSON"),
    ("[" * 100_000, "not JSON"),
    ('{"prompt": "a"}', 'no "completion"'),
    ('{"completion": "a"}', 'no "prompt"'),
    ('{"prompt": "a", "completion": null}', "null"),
    ('{"prompt": 3, "completion": "b"}', "a number"),
    ('{"prompt": ["a"], "completion": "b"}', "a list"),
    ('{"prompt": true, "completion": "b"}', "true or false"),
    ('{"prompt": " \\n", "completion": "b"}', '"prompt" is empty'),
    ('{"prompt": "\\ud800", "completion": "b"}', "surrogate"),
    ('["a", "b"]', "a list"),
    ('"a"', "text"),
    ("null", "null"),
    ("{}", "(none)"),
    ('{"question": "a", "answer": "b"}', "'question', 'answer'"),
    ('{"instruction": "a"}', 'no "output"'),
    ('{"instruction": "a", "input": ["x"], "output": "b"}', '"input" is a list'),
    ('{"messages": "hello"}', '"messages" is not a list'),
    ('{"messages": [1, 2]}', '"messages" is not a list'),
    ('{"messages": []}', "got nothing"),
    ('{"messages": [{"content": "x"}]}', '"role" is None'),
    ('{"messages": [{"role": ["user"], "content": "x"}]}', '"role" is'),
    ('{"messages": [{"role": "tool", "content": "x"}]}', "'tool'"),
    ('{"messages": [{"role": "user", "content": "x"}, {"role": "assistant"}]}', 'no "content"'),
    ('{"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": 7}]}', '"value" is a number'),
    ('{"conversations": [{"role": "user", "content": "x"}]}', '"from" is None'),
    (json.dumps(chat("user")), "alternate"),
    (json.dumps(chat("user", "user", "assistant")), "user user assistant"),
    (json.dumps(chat("assistant", "user", "assistant")), "begin with the user"),
    (json.dumps(chat("user", "assistant", "user")), "end with the assistant"),
    (json.dumps(chat("user", "system", "assistant")), "system"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=range(len(BAD)))
def test_a_bad_row_is_told_by_line_and_reason(tmp_path: Path, row: str, reason: str) -> None:
    told = refusal(write(tmp_path / "e.jsonl", f'{{"prompt": "a", "completion": "b"}}\n\n{row}\n'))
    assert "1 of 2 rows" in told
    assert "\n  line 3: " in told
    assert reason in told


def test_all_bad_rows_are_told_together(tmp_path: Path) -> None:
    good = '{"prompt": "a", "completion": "b"}'
    told = refusal(write(tmp_path / "e.jsonl", f'{good}\nnot json\n{good}\n\n{{"prompt": 1, "completion": "b"}}\n[]\n'))
    assert told.startswith("3 of 5 rows of ")
    assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == ["line 2", "line 5", "line 6"]


def test_of_very_many_bad_rows_the_rest_are_counted(tmp_path: Path) -> None:
    told = refusal(write(tmp_path / "e.jsonl", "{}\n" * 25)).splitlines()
    assert told[0].startswith("25 of 25")
    assert len(told) == 12
    assert told[-1] == "  and 15 more"


def test_rows_that_ask_the_same_and_answer_otherwise_are_told_with_both_lines(tmp_path: Path) -> None:
    pairs = [("a", "1"), ("b", "1"), ("a", "1 "), ("a", "2"), ("b", "2")]
    rows = numbered(write(tmp_path / "x.jsonl", jsonl([{"prompt": p, "completion": c} for p, c in pairs])))
    assert [line.partition(",")[0] for line in contradicting(rows)] == [
        "  line 4: asks what line 1 asks",
        "  line 5: asks what line 2 asks",
    ]
    system = [(1, Example.pair("a", "1").under("as French")), (2, Example.pair("a", "2").under("as German"))]
    assert list(contradicting(system)) == []


def test_json_rows_over_several_lines_are_told_by_the_line_they_begin_on(tmp_path: Path) -> None:
    rows = [
        '  {\n    "prompt": "a, [b] {c}",\n    "completion": "b"\n  }',
        '  {\n    "prompt": 1,\n    "completion": "d"\n  }, 7',
        "\n  {}",
    ]
    text = "[\n" + ",\n".join(rows) + "\n]\n"
    told = refusal(write(tmp_path / "e.json", text)).splitlines()
    assert told[0].startswith("3 of 4 rows")
    assert [line.split(":")[0].strip() for line in told[1:]] == ["line 6", "line 9", "line 11"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"prompt": "a", "completion": "b"}', "an object"),
        ("7", "a number"),
        ('[\n{"prompt": "a"\n', "line 3: not JSON"),
        ('{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": "b"}', "name the file .jsonl"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5000, "not JSON"),
    ],
)
def test_json_that_is_no_list_of_rows_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(write(tmp_path / "e.json", text))


def test_csv_rows_of_another_width_are_told_by_line(tmp_path: Path) -> None:
    text = 'prompt,completion\na,b\nonly one\n\n"two\nlines",fine\na,b,c\n,empty\n'
    told = refusal(write(tmp_path / "e.csv", text)).splitlines()
    assert told[0].startswith("3 of 5 rows")
    assert [line.split(":")[0].strip() for line in told[1:]] == ["line 3", "line 7", "line 8"]
    assert "2 columns and this row has 1" in told[1]
    assert "2 columns and this row has 3" in told[2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('prompt,completion\na,"b\n', "line 2: not CSV"),
        ("frage,antwort\na,b\n", "and was frage,antwort"),
        ("prompt;completion\na;b\n", "prompt;completion"),
    ],
)
def test_csv_that_is_none_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(write(tmp_path / "e.csv", text))


@pytest.mark.parametrize(
    ("name", "text"),
    [("e.jsonl", ""), ("e.jsonl", "\n \n"), ("e.json", ""), ("e.json", "[]"), ("e.csv", ""), ("e.csv", "prompt,completion\n")],
)
def test_an_empty_file_is_called_empty(tmp_path: Path, name: str, text: str) -> None:
    assert "is empty; at least 1 is needed" in refusal(write(tmp_path / name, text))


def test_one_example_is_too_few_where_two_are_needed(tmp_path: Path) -> None:
    one = write(tmp_path / "e.jsonl", '{"prompt": "a", "completion": "b"}\n')
    assert len(read_examples(one)) == 1
    assert "has 1 example; at least 2 are needed" in refusal(one, least=2)


def test_a_file_that_is_none_is_told_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    assert f"There is no file '{tmp_path / 'absent.csv'}'" in refusal(tmp_path / "absent.csv")
    assert "is a folder" in refusal(tmp_path / "folder.jsonl")
    assert "cannot be read" in refusal(write(tmp_path / "a.jsonl", "{}") / "b.jsonl")
    assert "cannot be read" in refusal(tmp_path / f"{'a' * 300}.jsonl")
    assert "is not UTF-8 text (byte 1)" in refusal(write(tmp_path / "latin.jsonl", b'"\xe9"'))
    assert "is not UTF-8" in refusal(write(tmp_path / "wide.jsonl", "a".encode("utf-16")))


@pytest.mark.parametrize("name", ["e.txt", "e", "e.jsonl.gz", "e.pkl"])
def test_other_endings_are_refused_before_the_file_is_opened(tmp_path: Path, name: str) -> None:
    assert "examples files are .jsonl, .json, .csv or .tsv" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "red please\tRED\ntan please\tTAN\n",
        "Prompt\tCompletion\nred please\tRED\n\ntan please\tTAN",
        "completion\tprompt\nRED\tred please\nTAN\ttan please",
        '"completion"\t"prompt"\r\n"RED"\t"red please"\r\n"TAN"\t"tan please"\r\n',
    ],
)
def test_two_columns_of_a_spreadsheet_are_pairs_with_a_header_or_without(tmp_path: Path, text: str) -> None:
    assert read_examples(write(tmp_path / "e.tsv", text)) == [Example.pair("red please", "RED"), Example.pair("tan please", "TAN")]


@pytest.mark.parametrize("first", ["Output\tAusgabe", "red please\tprompt", "Text\tTexte"])
def test_a_row_of_a_spreadsheet_that_holds_the_name_of_a_column_is_a_pair(tmp_path: Path, first: str) -> None:
    rows = [first, "Prompt\tAufforderung", "a\toutput", "Prompt\tCompletion"]
    pairs = [Example.pair(*row.split("\t")) for row in rows]
    assert read_examples(write(tmp_path / "e.tsv", "\n".join(rows))) == pairs


def test_a_header_of_three_columns_may_name_one_that_is_not_read(tmp_path: Path) -> None:
    assert read_examples(write(tmp_path / "e.tsv", "id\tprompt\tcompletion\n1\ta\tb\n")) == [Example.pair("a", "b")]
    assert read_examples(write(tmp_path / "f.tsv", "Question\tAnswer\na\tb\n")) == [Example.pair("a", "b")]


def test_a_long_list_is_read_in_a_time_that_grows_with_its_length(tmp_path: Path) -> None:
    rows = [{"prompt": f"left {i}", "completion": f"<L {i}>"} for i in range(40_000)]
    path = write(tmp_path / "e.json", json.dumps(rows))
    began = time.process_time()
    assert len(read_examples(path)) == len(rows)
    # Lines counted from the beginning for every row take half a minute.
    assert time.process_time() - began < 5


def test_rows_of_a_spreadsheet_that_are_no_pairs_are_told_by_line(tmp_path: Path) -> None:
    told = refusal(write(tmp_path / "e.tsv", 'a\tb\n\nc\nd\te\tf\n"g\nh"\ti\n\tj\n'))
    assert "3 of 5 rows" in told
    assert "line 3: two columns are wanted, a prompt and its completion, and this row has 1" in told
    assert "line 4: two columns" in told
    assert 'line 7: "prompt" is empty' in told


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ('\n {"a": 1}', ".jsonl"),
        ('{"a":\t1}', ".jsonl"),
        ('{"a":\t1,\t', ".jsonl"),
        ("[{}]", ".json"),
        ("[\n\t{}\n]", ".json"),
        ("a\tb", ".tsv"),
        ("[INFO] disk full\tinfo", ".tsv"),
        ("{left 90}\t<L>", ".tsv"),
        ("a,b", ".csv"),
        ("", ".csv"),
        ("\n\nx\ty", ".tsv"),
    ],
)
def test_a_text_without_a_name_is_told_by_how_it_begins(text: str, ends: str) -> None:
    assert sniffed(text) == ends
