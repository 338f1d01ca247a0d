"""Command lines: marks taken off, programs renamed throughout, and answers compared as a shell reads them."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

import pytest

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.commands import Commands, _short, plain, rename, same_command
from headstart.tasks.family import SPLITS
from headstart.tasks.words import side_of


@pytest.mark.parametrize(
    ("line", "long", "short"),
    [
        ("git {{[-r|--remote]}} {{path/to/file}}", "git --remote path/to/file", "git -r path/to/file"),
        ("x {{[-a|--all|--everything]}}={{1}}", "x --everything=1", "x -a=1"),
        ("x /device:{{dvd|audiocd}}", "x /device:dvd", "x /device:dvd"),
        ("x '{{cat | wc}}'", "x 'cat | wc'", "x 'cat | wc'"),
        ("echo ${{{array[@]}}} {{[a]}}", "echo ${array[@]} [a]", "echo ${array[@]} [a]"),
        ("ls | less", "ls | less", "ls | less"),
    ],
)
def test_marks_are_taken_off(line: str, long: str, short: str) -> None:
    assert plain(line, long=True) == long
    assert plain(line, long=False) == short


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("tar -x a.tar", "pour -x a.pour"),
        ("sudo tar --tar x-tar start", "sudo pour --tar x-tar start"),
        ("Open `tar`, then (tar)", "Open `pour`, then (pour)"),
        ("Tar an archive", "Tar an archive"),
    ],
)
def test_a_program_is_renamed_where_it_is_a_word(text: str, renamed: str) -> None:
    assert rename(text, "tar", "pour") == renamed


def test_what_is_too_long_is_left_out_without_a_look_at_its_marks() -> None:
    begun = monotonic()
    assert not _short(Example.pair("x", "{{" * 200_000))
    assert monotonic() - begun < 1
    assert _short(Example.pair("x", "x {{[-a|--all]}} " * 10))
    assert not _short(Example.pair("x", "x" * 161))


def test_programs_without_a_name_keep_it() -> None:
    assert rename("[ -f a ]", "[", "pour") == "[ -f a ]"
    assert rename("a b.c a+b", "b.c", "x\\1") == "a x\\1 a+b"


def test_commands_are_compared_by_their_words() -> None:
    assert same_command("grep -r 'a b' .", 'grep  -r "a b"  .')
    assert not same_command("grep -r 'a b' .", "grep -r a b .")
    assert same_command("echo 'it", " echo 'it ")
    assert not same_command("echo 'it", "echo it")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat f |sort", "cat f | sort"),
        ("ls>f;wc f", "ls > f ; wc f"),
        ("a 2>/dev/null", "a 2> /dev/null"),
        ("x --as='a b'", 'x --as="a b"'),
        ("x a\\ b", "x 'a b'"),
        ("x '*'", "x \\*"),
        ('x "it\\"s"', "x 'it\"s'"),
        ("x 'plain' \"word\"", "x plain word"),
        ("find -exec rm '{}' \\;", "find -exec rm {} ';'"),
        ("curl 'http://a.b/c'", "curl http://a.b/c"),
    ],
)
def test_quotes_and_blanks_that_mean_nothing_to_a_shell_are_none(one: str, other: str) -> None:
    assert same_command(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rm '*.txt'", "rm *.txt"),
        ("grep 'a|b' f", "grep a|b f"),
        ("echo '>' f", "echo > f"),
        ("echo \\> f", "echo > f"),
        ("echo '$x'", 'echo "$x"'),
        ("echo $x", 'echo "$x"'),
        ("echo 2 > f", "echo 2> f"),
        ("a && b", "a & & b"),
        ("x 'a  b'", "x 'a b'"),
        ("grep '' f", "grep f"),
        ("echo 'a{1,2}'", "echo a{1,2}"),
        ("echo '~'", "echo ~"),
    ],
)
def test_quotes_that_mean_something_to_a_shell_tell_commands_apart(one: str, other: str) -> None:
    assert not same_command(one, other)
    assert same_command(one, one)
    assert same_command(other, other)


def write(path: Path, pages: int = 2) -> Path:
    def pairs(name: str, page: int) -> list[list[str]]:
        some = [[f"{page}: show {i} with `{name}`", f"{name} {{{{[-f|--file]}}}} {{{{{page}_{i}}}}}"] for i in range(8)]
        return [*some, [f"{page}: too long", f"{name} {'x' * 160}"]]

    rows = [{"task": f"p{g}-{p}", "group": f"p{g}", "examples": pairs(f"p{g}", p)} for g in range(12) for p in range(pages)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_pages_of_one_program_are_one_task_without_long_lines(tmp_path: Path) -> None:
    family = Commands.read(write(tmp_path / "pages.jsonl"))
    for pool in family.pages.dealt.pools["test"]:
        assert len(pool.asked) == 16
        assert {e.prompt[0] for e in pool.asked} == {"0", "1"}
    with pytest.raises(TasksError, match="has 16 examples"):
        family.lesson("test", 0, 15, 2)


def test_programs_of_a_folder_that_is_split_are_renamed_too(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        place = tmp_path / split / "git" / "page.jsonl"
        place.parent.mkdir(parents=True)
        rows = [{"prompt": f"{split} shows {i} with `git`", "completion": f"git show {split} {i}"} for i in range(8)]
        place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lessons = [Commands.read(tmp_path).lesson("train", number, 4, 2) for number in range(40)]
    called = [lesson.query[0].completion.split()[0] for lesson in lessons]
    assert 10 < called.count("git") < 30


def test_a_task_has_one_name_and_one_style(tmp_path: Path) -> None:
    family = Commands.read(write(tmp_path / "pages.jsonl"))
    names, styles = set(), []
    for split in SPLITS:
        for number in range(40):
            lesson = family.lesson(split, number, 4, 2)
            examples = (*lesson.support, *lesson.query)
            (called,) = {e.completion.split()[0] for e in examples}
            (style,) = {e.completion.split()[1] for e in examples}
            assert {e.prompt.split("`")[1] for e in examples} == {called}
            assert "{{" not in "".join(e.completion for e in examples)
            if not called.startswith("p") or not called[1:].isdigit():
                assert side_of(called) == ("train" if split == "near" else split)
                names.add(called)
            styles.append(style)
    assert 60 < len(names) <= 100
    assert 80 < styles.count("--file") < 130
    assert set(styles) == {"--file", "-f"}
