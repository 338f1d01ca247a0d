"""Two columns as people paste them: quotes are the text's own, but where a spreadsheet had to put them."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.tasks import cells
from headstart.tasks.texts import parsed, read_examples, reader_of, sniffed
from tests.tasks.test_texts import refusal, write


def read(text: str) -> list[Example]:
    return [row for _, row in parsed("pasted", reader_of(Path(f"pasted{sniffed(text)}"))(text))]


@pytest.mark.parametrize(
    ("row", "pair"),
    [
        ('say hi\t"hi"', ("say hi", '"hi"')),
        ('"crew" over 20\tTALLY', ('"crew" over 20', "TALLY")),
        ('5" by 7"\t"a"b"', ('5" by 7"', '"a"b"')),
        ('"say ""hi"""\t"""hi"""', ('say "hi"', '"hi"')),
        ('"one\ntwo"\tx', ("one\ntwo", "x")),
        ('x\t"one ""1""\ntwo"', ("x", 'one "1"\ntwo')),
        ('"a\tb"\tc', ("a\tb", "c")),
        ('"a\tb\n""c"""\td', ('a\tb\n"c"', "d")),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_are_a_spreadsheet_s_only_where_it_needs_them(row: str, pair: tuple[str, str], end: str) -> None:
    text = end.join(["red\tRED", row.replace("\n", end), "tan\tTAN", ""])
    wanted = tuple(cell.replace("\n", end) for cell in pair)
    assert read(text) == [Example.pair(*it) for it in (("red", "RED"), wanted, ("tan", "TAN"))]


def test_a_cell_is_quoted_where_a_doubled_quote_is_within_quotes() -> None:
    obvious = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')
    for cell in map("".join, (it for length in range(13) for it in product('"a', repeat=length))):
        assert cells._plain(cell) == (cell[1:-1].replace('""', '"') if obvious.fullmatch(cell) else cell)


@pytest.mark.parametrize("cell", [400_002 * '"' + "x", '"' + 200_000 * '""a' + '"b'])
def test_a_cell_of_many_quotes_is_read_at_once(cell: str) -> None:
    # Where every pair of quotes was tried as the one that has to be there, this took hours.
    assert read(f"{cell}\tanswer") == [Example.pair(cell, "answer")]


def test_the_first_prompt_may_have_line_breaks() -> None:
    assert read('"one\n\ntwo"\tx\ntan\tTAN\n') == [Example.pair("one\n\ntwo", "x"), Example.pair("tan", "TAN")]
    assert sniffed('prompt,completion\n"one\t\ntwo",x\n') == sniffed('"one\ntwo\t",x\n') == ".csv"


@pytest.mark.parametrize("text", ["\t\nred\tRED\n\t\n \t \n\t\t\ntan\tTAN\n\t", "prompt,completion\nred,RED\n,\ntan,TAN\n,,\n"])
def test_rows_of_empty_cells_are_none(text: str) -> None:
    assert read(text) == [Example.pair("red", "RED"), Example.pair("tan", "TAN")]
    # Quotes that no spreadsheet needs are text.
    assert read('""\t""\n') == [Example.pair('""', '""')]


@pytest.mark.parametrize("between", [",", "\t"])
def test_a_question_and_its_answer_may_head_two_columns(between: str) -> None:
    assert read(f"Question{between}Answer\nred{between}RED\n") == [Example.pair("red", "RED")]


def test_a_space_after_a_comma_is_not_the_cell_s(tmp_path: Path) -> None:
    text = 'prompt, completion\n"How many?", "TALLY a, b"\nred,  RED\ntan, "TAN\n  2"\n'
    pairs = [("How many?", "TALLY a, b"), ("red", "RED"), ("tan", "TAN\n  2")]
    assert read(text) == read_examples(write(tmp_path / "e.csv", text)) == [Example.pair(*it) for it in pairs]
    assert read('prompt\tcompletion\nred\t "RED"\n') == [Example.pair("red", '"RED"')]


def test_a_row_that_is_no_tsv_is_told_by_line_and_those_below_are_read() -> None:
    with pytest.raises(ExamplesError) as refused:
        read('a\tb\n"c" d\te\tf\ng\th\n\tj\n"k\tl\n')
    told = str(refused.value)
    assert told.startswith("3 of 5 rows")
    assert [line.split(" (")[0].strip() for line in told.splitlines()[1:]] == [
        "line 2: not TSV",
        'line 4: "prompt" is empty',
        "line 5: not TSV",
    ]


@pytest.mark.parametrize("row", ["[INFO] disk full\tinfo", "{left 90}\t<L>"])
def test_a_row_that_begins_as_json_does_is_a_row(row: str) -> None:
    assert read(f"{row}\ntan\tTAN") == [Example.pair(*row.split("\t")), Example.pair("tan", "TAN")]


def test_what_is_nearly_a_file_of_examples_is_told_what_it_is(tmp_path: Path) -> None:
    assert f"'{tmp_path}' is a folder" in refusal(tmp_path)
    assert "line 1: columns are parted by semicolons" in refusal(write(tmp_path / "e.csv", "prompt;completion\na;b\n"))
    assert refusal(write(tmp_path / "f.csv", "prompt,completion\na,b\n"), 6).endswith("at least 6 are needed.")


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("prompt\tcompletion", "columns are parted by tabs: save it as .tsv"),
        ("how many, please\tTALLY", "columns are parted by tabs: save it as .tsv"),
        ("how many,TALLY", "the first row has to name the columns (prompt,completion) and was how many,TALLY"),
        ("sep=,\nprompt,completion", "the first row has to name the columns (prompt,completion) and was sep=,"),
        ("red " * 100, "the first row has to name the columns (prompt,completion) and was " + "red " * 24 + "…"),
    ],
)
def test_a_csv_whose_first_row_names_no_column_is_told_once(tmp_path: Path, first: str, why: str) -> None:
    told = refusal(write(tmp_path / "e.csv", first + "\nred,RED" * 12))
    assert told.splitlines()[1:] == [f"  line 1: {why}"]
