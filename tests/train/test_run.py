import errno
import fcntl
import json
import re
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import RunRefused, StorageError
from headstart.train.filed import marks, seen
from headstart.train.meta import meta_train
from headstart.train.run import CHECKPOINT, LOG, RESULT, learned_in, open_run, sides_in, stands
from headstart.train.same import BASE, BEGUN, CONFIG, TASKS
from tests.train.test_meta import equal
from tests.train.toys import EXACT, job

TOML = "seed = 1\n\n[outer]\nsteps = 20\nrate = 0.1\n"
BEGIN = job().begin()
IT = job()
STATES = list(meta_train(IT.learner, EXACT.tasks(IT.tasks), IT.outer, IT.watch, IT.judge, BEGIN))


def line(step: int) -> dict[str, Any]:
    return {"step": step, "loss": step / 2}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A run that was stopped after step 10, with a note of step 5 and of step 10."""
    with open_run(tmp_path / "run", TOML) as run:
        for step in (5, 10):
            run.note(line(step))
            run.keep(STATES[step - 1])
    return tmp_path / "run"


def test_an_empty_folder_begins_at_the_beginning(tmp_path: Path) -> None:
    with open_run(tmp_path / "deep" / "run", TOML) as run:
        assert run.state(BEGIN) is BEGIN
        assert (run.lines(), run.result()) == ([], None)
    assert (tmp_path / "deep" / "run" / CONFIG).read_text() == TOML


def test_a_kept_state_is_gone_on_with(kept: Path) -> None:
    with open_run(kept, TOML) as run:
        assert equal(run.state(BEGIN), STATES[9])
        assert run.lines() == [line(5), line(10)]


def test_the_order_and_form_of_the_settings_do_not_matter(kept: Path) -> None:
    with open_run(kept, "seed=1\n# a comment\nouter = {rate = 1e-1, steps = 20}\n") as run:
        assert run.state(BEGIN).step == 10


def test_what_the_log_says_of_later_steps_is_taken_back(kept: Path) -> None:
    with open_run(kept, TOML) as run:
        run.note(line(15))
    with open_run(kept, TOML) as run:
        assert run.lines() == [line(5), line(10), line(15)]
        run.state(BEGIN)
        assert run.lines() == [line(5), line(10)]


def test_a_note_takes_the_place_of_what_was_said_of_its_step(kept: Path) -> None:
    with open_run(kept, TOML) as run:
        run.note(line(5) | {"loss": 7})
        assert run.lines() == [line(5) | {"loss": 7}]


def test_a_run_of_before_there_was_a_setting_is_one_of_its_default(kept: Path) -> None:
    fixed, absent = f"{TOML}\n[net]\nfixed = %s\n", {"net.fixed": False, "net.depth": 3}
    with (
        pytest.raises(RunRefused, match=re.escape("settings: net.fixed (there False, here True).")),
        open_run(kept, fixed % "true", absent=absent),
    ):
        pass
    with open_run(kept, fixed % "false", absent=absent) as run:
        assert run.state(BEGIN).step == 10
    assert (kept / CONFIG).read_text() == fixed % "false", "another default, later, is another setting"
    for other, defaults in ((TOML, {}), (fixed % "true", {"net.fixed": True})):
        with pytest.raises(RunRefused, match=r"net\.fixed \(there False"), open_run(kept, other, absent=defaults):
            pass


def test_where_it_computes_may_change_on_the_way(kept: Path) -> None:
    roomy = f"device = 'cuda'\nworkers = 3\nrecorded = true\n{TOML}\n[evaluate]\nchunk = 2\n[learner]\ntogether = 1\n"
    with open_run(kept, roomy, absent={"device": "cpu", "workers": 0}) as run:
        assert run.state(BEGIN).step == 10


DEALT = {"train": {"ant": "six", "bee": "five"}, "validation": {"cat": "four"}, "test": {"dog": "three"}}


def test_a_run_on_files_that_are_dealt_otherwise_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "run"
    with open_run(kept, TOML, sides=DEALT) as run:
        run.keep(STATES[9])
    edited = DEALT | {"test": {"dog": "two"}}
    with open_run(kept, TOML, sides=edited) as run:
        assert run.state(BEGIN).step == 10
    assert sides_in(kept) == DEALT, "what was trained on stays what it was"
    more = DEALT | {"train": {"ant": "six", "eel": "one"}, "test": {"bee": "five", "dog": "three"}}
    with pytest.raises(RunRefused, match="eel came in; bee went from one split to another"), open_run(kept, TOML, sides=more):
        pass
    for damaged in ("[1]", '{"train": ["ant"]}'):
        (kept / TASKS).write_text(damaged)
        with pytest.raises(RunRefused, match="cannot be read"), open_run(kept, TOML, sides=DEALT):
            pass


def test_other_settings_are_refused_and_named_and_nothing_is_touched(kept: Path) -> None:
    before = {p: p.read_bytes() for p in kept.rglob("*") if p.is_file()}
    other = "seed = 1\n[outer]\nsteps = 30\n[net]\nwidth = 3\n"
    with pytest.raises(RunRefused) as told, open_run(kept, other):
        pass
    assert "net.width (there none, here 3), outer.rate (there 0.1, here none), outer.steps (there 20, here 30)" in str(told.value)
    assert "seed" not in str(told.value).replace("settings", "")
    assert "--fresh" in str(told.value)
    assert {p: p.read_bytes() for p in kept.rglob("*") if p.is_file()} == before


def test_fresh_forgets_the_run_and_nothing_else(kept: Path) -> None:
    (kept / "notes.txt").write_text("mine")
    with open_run(kept, "seed = 2\n", fresh=True) as run:
        assert run.state(BEGIN) is BEGIN
        assert run.lines() == []
    assert not (kept / CHECKPOINT).exists()
    assert ((kept / CONFIG).read_text(), (kept / "notes.txt").read_text()) == ("seed = 2\n", "mine")


def test_settings_of_a_run_that_never_kept_anything_bind_nobody(tmp_path: Path) -> None:
    with open_run(tmp_path, TOML):
        pass
    with open_run(tmp_path, "seed = 2\n") as run:
        assert run.state(BEGIN) is BEGIN


def test_a_second_run_in_the_same_folder_is_refused(kept: Path) -> None:
    with open_run(kept, TOML), pytest.raises(RunRefused, match="Another run is at work"), open_run(kept, TOML):
        pass
    with open_run(kept, TOML) as run:
        assert run.state(BEGIN).step == 10


@pytest.mark.parametrize("name", [LOG, RESULT, CONFIG])
def test_a_damaged_file_is_named(kept: Path, name: str) -> None:
    (kept / name).write_text("[{")
    with pytest.raises(RunRefused, match=name), open_run(kept, TOML) as run:
        assert run.state(BEGIN) is not run.result()


def test_a_checkpoint_without_settings_is_refused(kept: Path) -> None:
    (kept / CONFIG).unlink()
    with pytest.raises(RunRefused, match="--fresh"), open_run(kept, TOML):
        pass


def test_half_a_checkpoint_is_refused(kept: Path) -> None:
    (kept / CHECKPOINT / "state.json").unlink()
    with pytest.raises(RunRefused, match="cannot be read"), open_run(kept, TOML) as run:
        run.state(BEGIN)


def test_a_kill_between_the_renames_of_a_checkpoint_loses_nothing(kept: Path) -> None:
    (kept / CHECKPOINT).rename(kept / f".former-{CHECKPOINT}")
    with open_run(kept, TOML) as run:
        assert run.state(BEGIN).step == 10


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("fresh", [False, True])
def test_a_kill_between_the_renames_loses_nothing_where_a_disk_knows_no_locks(kept: Path, fresh: bool) -> None:
    (kept / CHECKPOINT).rename(kept / f".former-{CHECKPOINT}")
    with open_run(kept, TOML, fresh) as run:
        assert run.state(BEGIN).step == (0 if fresh else 10)
    assert (kept / CHECKPOINT).exists() is not fresh
    assert not (kept / f".former-{CHECKPOINT}").exists()


def test_a_checkpoint_that_is_set_aside_is_found_by_those_who_only_read(kept: Path) -> None:
    learned = learned_in(kept)
    (kept / CHECKPOINT).rename(kept / f".former-{CHECKPOINT}")
    assert stands(kept)
    assert learned_in(kept).keys() == learned.keys()


def test_a_checkpoint_that_is_replaced_between_two_looks_is_found(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aside, exists = kept / f".former-{CHECKPOINT}", Path.exists
    for look in (stands, learned_in):
        (kept / CHECKPOINT).rename(aside)

        def replaced(path: Path) -> bool:
            found = exists(path)
            if exists(aside):
                aside.rename(kept / CHECKPOINT)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(Path, "exists", replaced)
            assert look(kept)


def test_a_checkpoint_that_is_set_aside_between_a_look_and_the_reading_is_found(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def set_aside(path: Path) -> bytes:
        if (kept / CHECKPOINT).exists():
            (kept / CHECKPOINT).rename(kept / f".former-{CHECKPOINT}")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", set_aside)
    assert learned_in(kept)


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be a run's folder"), open_run(tmp_path / "file", TOML):
        pass


@pytest.mark.parametrize("fresh", [False, True])
def test_a_user_s_own_files_are_no_run_s(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / CONFIG).write_text("mine = true\n")
    (tmp_path / CHECKPOINT).mkdir()
    (tmp_path / CHECKPOINT / "mine").touch()
    with pytest.raises(RunRefused, match=r"holds checkpoint, config\.toml and no run: give another --out"), open_run(tmp_path, TOML, fresh):
        pass
    assert sorted(p.name for p in tmp_path.rglob("*")) == [CHECKPOINT, CONFIG, "mine"]
    assert (tmp_path / CONFIG).read_text() == "mine = true\n"


HERS, HIS = ({"name": name, "the base's weights": name[0] * 64, "the tokenizer": "5" * 64} for name in ("one", "two"))
REFUSAL = "was made for one, and this is two, which differs in the base's weights \\(there o{12}, here t{12}\\)"


@pytest.fixture
def bent(tmp_path: Path) -> Path:
    """A run on a base, stopped after step 10."""
    with open_run(tmp_path / "bent", TOML, base=HERS) as run:
        run.keep(STATES[9])
    return tmp_path / "bent"


def test_a_run_goes_on_with_its_own_base_alone(bent: Path) -> None:
    with open_run(bent, TOML, base=HERS | {"name": "moved", BEGUN: "begun otherwise"}) as run:
        assert run.state(BEGIN).step == 10
    with pytest.raises(RunRefused, match=REFUSAL), open_run(bent, TOML, base=HIS):
        pass
    with open_run(bent, TOML, fresh=True, base=HIS) as run:
        assert run.state(BEGIN) is BEGIN
    assert json.loads((bent / BASE).read_text()) == HIS


def test_what_was_learned_on_another_base_is_not_begun_from(bent: Path) -> None:
    assert learned_in(bent, HERS).keys() == learned_in(bent).keys()
    with pytest.raises(RunRefused, match=REFUSAL):
        learned_in(bent, HIS)
    for damaged in ("[1]", "{"):
        (bent / BASE).write_text(damaged)
        with pytest.raises(RunRefused, match=f"{BASE}' cannot be read"):
            learned_in(bent, HERS)


def test_a_run_that_names_no_base_is_taken_at_its_settings_word(kept: Path) -> None:
    with open_run(kept, TOML, base=HIS) as run:
        assert run.state(BEGIN).step == 10
    assert learned_in(kept, HIS)
    assert not (kept / BASE).exists(), "nobody knows on what it was begun"


def test_what_came_of_it_is_kept(kept: Path) -> None:
    with open_run(kept, TOML) as run:
        run.finish({"score": 1.5})
        assert run.result() == {"score": 1.5}
    assert json.loads((kept / RESULT).read_text()) == {"score": 1.5}


def test_what_trained_may_not_judge_but_for_what_did_before() -> None:
    own = {"train": {"emails": "1", "notes": "2"}, "validation": {"emails": "1"}, "test": {"emails": "1", "letters": "3"}}
    assert seen(marks(own), own) == ""
    assert seen(marks(own), own | {"test": {"emails": "1", "notes": "2"}}) == "notes in the test"
    assert seen(marks(own), own | {"test": {"called otherwise": "2"}}) == "called otherwise in the test"
    assert seen(marks(own), own | {"validation": {"notes": "mended since"}}) == "notes in validation"
    assert seen({}, own) == ""
