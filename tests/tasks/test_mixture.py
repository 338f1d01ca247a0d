"""Families in turns."""

from dataclasses import dataclass

from headstart.episode import Example
from headstart.tasks.family import Lesson, Split
from headstart.tasks.mixture import Mixture


@dataclass(frozen=True)
class Named:
    """Tasks that tell what was asked for."""

    name: str

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        asked = Example((("user", f"{split} {shots} {queries}"), ("assistant", f"{self.name} {number}")))
        return Lesson((), (asked,), of="the same file" if self.name == "a" or number else "")


BOTH = Mixture({"a": Named("a"), "b": Named("b")}, ("a", "b", "a"))


def test_families_take_turns_and_one_named_twice_never_repeats_a_task() -> None:
    drawn = [BOTH.lesson("test", number, 3, 2).query[0] for number in range(6)]
    assert [example.completion for example in drawn] == ["a 0", "b 0", "a 1", "a 2", "b 1", "a 3"]
    assert {example.messages[0][1] for example in drawn} == {"test 3 2"}


def test_files_of_two_families_that_are_called_alike_are_two() -> None:
    assert [BOTH.lesson("test", number, 3, 2).of for number in (0, 1, 2, 4)] == [
        "a: the same file",
        "",
        "a: the same file",
        "b: the same file",
    ]


def test_each_lesson_says_whose_it_is() -> None:
    assert [BOTH.lesson("test", number, 3, 2).family for number in range(4)] == ["a", "b", "a", "a"]
