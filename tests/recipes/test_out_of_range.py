"""Values that no run can be made of are said before anything is read or loaded, each by its whole name."""

from pathlib import Path
from typing import Any

import pytest

from headstart.errors import SettingsError
from tests.recipes.test_assemble import made, pictures, told, waves


@pytest.mark.parametrize(
    ("kind", "words", "wanted"),
    [
        ("maml", {"": {"seed": 1 << 63}}, "seed is 9223372036854775808; less than 2 to the power of 63"),
        ("maml", {"net": {"widths": [-3]}}, r"net.widths is \[-3\]; 1 or more each"),
        ("mann", {"learner": {"scale": 0}}, "learner.scale is 0.0; more than 0"),
        ("mann", {"learner": {"heads": 9, "places": 8}}, "learner.heads is 9; no more than learner.places, 8"),
        ("mann", {"learner": {"hidden": -1, "decay": 5}}, "learner.hidden is -1; 1 or more is wanted.\n  learner.decay is 5.0; 0 to 1"),
        ("snail", {"learner": {"filters": 0}}, "learner.filters is 0; 1 or more"),
        ("snail", {"learner": {"attention": [[4, 0]]}}, "learner.attention is .* widths of 1 or more"),
        ("in-context", {"tasks": {"kind": "apis"}, "net": {"rank": -1}}, "net.rank is -1; 1 or more"),
    ],
)
def test_values_out_of_range_are_said(kind: str, words: dict[str, dict[str, Any]], wanted: str) -> None:
    table: dict[str, Any] = waves(kind)
    for name, some in words.items():
        table = table | some if not name else table | {name: {**table.get(name, {}), **some}}
    with pytest.raises(SettingsError, match=wanted):
        made(table)


@pytest.mark.parametrize(
    ("tasks", "learner", "net", "wanted"),
    [
        ({"size": -16}, {}, {}, "tasks.size is -16; 1 or more"),
        ({}, {}, {"filters": 0}, "net.filters is 0; 1 or more"),
        ({}, {"scale": -1, "context": -1}, {}, "learner.scale is -1.0; more than 0 is wanted.\n  learner.context is -1; 0 or more"),
    ],
)
def test_values_of_image_tasks_out_of_range_are_said(
    image_folder: Path, tasks: dict[str, Any], learner: dict[str, Any], net: dict[str, Any], wanted: str
) -> None:
    assert wanted in told(pictures(image_folder, "matching", tasks, learner, net=net))


def test_a_share_that_none_can_reach_is_no_target(image_folder: Path) -> None:
    wanted = "evaluate.target is 95; a share of 1 is wanted, such as 0.95."
    assert wanted in told(pictures(image_folder, "matching", evaluate={"target": 95}))
    assert made(waves("maml", evaluate={"target": 95.0})).watch.target == 95
