"""Writes while others write, look and interrupt: what is said of them is true, and what is left of them goes."""

from __future__ import annotations

from pathlib import Path

from headstart import disk


def test_the_next_try_at_a_place_removes_what_a_killed_one_left_there_and_nothing_of_others(tmp_path: Path) -> None:
    mine, others = tmp_path / f"{disk.PENDING}0123456789ab-new[1]", tmp_path / f"{disk.PENDING}1665432100-new[1]"
    for path in (mine, others, tmp_path / f"{disk.PENDING}0123456789ab-other"):
        path.mkdir()
    with disk.new_folder(tmp_path / "new[1]"):
        assert not mine.exists()
        assert others.exists()
        # Whoever tries the same meanwhile leaves this one alone.
        with disk.new_folder(tmp_path / "new[1]", replace=True):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"new[1]", others.name, f"{disk.PENDING}0123456789ab-other"}
