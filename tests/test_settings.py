from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import SettingsError
from headstart.settings import MISSING, keys, override, pair, refuse, values_of


@dataclass(frozen=True)
class Boat:
    """For these tests."""

    masts: int
    """How many masts
    it has."""
    length: float = 9.5
    name: str = "Ida"
    """What it is called."""
    sails: bool = True
    kind: Literal["sloop", "ketch", 3] = "sloop"
    home: Path | None = None
    depths: tuple[float, ...] = (1.0,)
    ends: tuple[int, int] = (0, 1)
    routes: tuple[tuple[int, int], ...] = ()
    crew: object = field(default_factory=object)
    """Not a key: TOML has no such thing."""
    made: int = field(default=7, init=False)


def bind(cls: type[Any], table: dict[str, Any], where: str = "", **given: Any) -> Any:
    """A dataclass from a table, as a config's tables become values."""
    values, wrong = values_of(keys(cls, given), table, where)
    refuse(wrong)
    return cls(**values, **given)


def test_a_table_becomes_a_value() -> None:
    table = {
        "masts": 2,
        "length": 12,
        "name": "Ada",
        "sails": False,
        "kind": "ketch",
        "home": "~/port",
        "depths": [1, 2.5],
        "ends": [3, 4],
        "routes": [[1, 2], [3, 4]],
    }
    boat = bind(Boat, table)
    assert (boat.masts, boat.length, boat.name, boat.sails, boat.kind) == (2, 12.0, "Ada", False, "ketch")
    assert (boat.home, boat.depths, boat.ends, boat.routes) == (Path.home() / "port", (1.0, 2.5), (3, 4), ((1, 2), (3, 4)))
    assert isinstance(boat.length, float)


def test_what_is_not_set_has_its_default() -> None:
    boat = bind(Boat, {"masts": 1})
    assert (boat.length, boat.name, boat.home, boat.depths) == (9.5, "Ida", None, (1.0,))


def test_what_is_given_is_no_key() -> None:
    assert bind(Boat, {"masts": 1}, name="Eva").name == "Eva"
    with pytest.raises(SettingsError, match=r"boat\.name is no key here"):
        bind(Boat, {"masts": 1, "name": "Ada"}, "boat", name="Eva")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("masts", "many", "a whole number"),
        ("masts", True, "a whole number"),
        ("masts", 1.0, "a whole number"),
        ("masts", {}, "a whole number"),
        ("length", "9", "a number"),
        ("length", True, "a number"),
        ("name", 3, "text"),
        ("sails", 1, "true or false"),
        ("kind", "yawl", '"sloop" or "ketch" or 3'),
        ("kind", True, '"sloop" or "ketch" or 3'),
        ("home", 1, "a path or nothing"),
        ("depths", 1.0, "a list, each a number"),
        ("depths", ["deep"], "a list, each a number"),
        ("ends", [1], "a list of 2, each a whole number"),
        ("ends", [1, 2, 3], "a list of 2, each a whole number"),
        ("routes", [[1, 2], [3]], "a list, each a list of 2, each a whole number"),
    ],
)
def test_a_wrong_type_is_told_with_what_was_got_and_wanted(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(SettingsError) as told:
        bind(Boat, {"masts": 1} | {name: value}, "boat")
    assert f"boat.{name} is {value!r}; {wanted} is wanted." in str(told.value)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as told:
        bind(Boat, {"nmae": "Ada", "lenght": 3, "sails": 0, "made": 1, "crew": 2}, "boat")
    lines = str(told.value).splitlines()
    assert lines[0] == "6 settings cannot be used:"
    for line, wanted in zip(
        lines[1:],
        (
            "boat.nmae is no key here. Nearest: name",
            "boat.lenght is no key here. Nearest: length",
            "boat.made is no key",
            "boat.crew is no key",
            "boat.masts is missing: a whole number is wanted",
            "boat.sails is 0",
        ),
        strict=True,
    ):
        assert wanted in line


def test_a_mistyped_choice_is_told_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="Nearest: sloop"):
        bind(Boat, {"masts": 1, "kind": "slop"})


def test_the_docstring_below_a_field_is_its_meaning() -> None:
    known = {key.name: key for key in keys(Boat)}
    assert list(known) == ["masts", "length", "name", "sails", "kind", "home", "depths", "ends", "routes"]
    assert (known["masts"].meaning, known["length"].meaning) == ("How many masts\nit has.", "")
    assert known["masts"].default is MISSING
    assert known["name"].default == "Ida"


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("outer.steps=100", ("outer.steps", 100)),
        ("rate=1e-3", ("rate", 1e-3)),
        ("kind=sine", ("kind", "sine")),
        ('name="a b"', ("name", "a b")),
        ("name=a b", ("name", "a b")),
        ("on=true", ("on", True)),
        ("widths=[40, 40]", ("widths", [40, 40])),
        ("path=/a=b", ("path", "/a=b")),
        ("empty=", ("empty", None)),
        ('text=""', ("text", "")),
        ("text=1\nother = 2", ("text", "1\nother = 2")),
    ],
)
def test_a_word_is_a_key_and_a_value(word: str, wanted: tuple[str, Any]) -> None:
    assert pair(word) == wanted
    assert type(pair(word)[1]) is type(wanted[1])


@pytest.mark.parametrize("word", ["steps", "=3", ""])
def test_a_word_that_sets_nothing_is_refused(word: str) -> None:
    with pytest.raises(SettingsError, match=f"'{word}' sets nothing: key=value is wanted"):
        pair(word)


def test_an_override_reaches_into_tables_and_leaves_what_it_was_given() -> None:
    table = {"seed": 1, "outer": {"steps": 5, "rate": 0.1}}
    over = override(table, [("outer.steps", 7), ("seed", 2), ("net.widths", [3])])
    assert over == {"seed": 2, "outer": {"steps": 7, "rate": 0.1}, "net": {"widths": [3]}}
    assert table == {"seed": 1, "outer": {"steps": 5, "rate": 0.1}}


@pytest.mark.parametrize("path", ["seed.steps", "outer.steps.more", ".steps", "outer.", "."])
def test_a_key_below_something_that_is_no_table_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="names no place"):
        override({"seed": 1, "outer": {"steps": 5}}, [(path, 1)])


@given(
    st.dictionaries(
        st.sampled_from(["masts", "length", "name", "sails", "x"]), st.none() | st.integers() | st.text(max_size=3) | st.booleans()
    )
)
def test_a_table_is_either_bound_or_refused(table: dict[str, Any]) -> None:
    try:
        boat = bind(Boat, table)
    except SettingsError:
        return
    assert all(getattr(boat, name) == value for name, value in table.items())
