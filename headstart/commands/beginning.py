"""What `begin` names: a run's folder, or for a language model a start or an adapter; and whether a run may begin there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headstart import toml
from headstart.adapters.keep import hash_of_weights
from headstart.adapters.starts import Starts
from headstart.adapters.wear import key_of
from headstart.bank import Weights
from headstart.config import home
from headstart.errors import SettingsError
from headstart.learners.parts import prefixed
from headstart.lm.load import Base
from headstart.recipes.assemble import Settled
from headstart.train.filed import marks, seen
from headstart.train.job import Job
from headstart.train.run import learned_in, sides_in, stands
from headstart.train.same import BEGUN, CONFIG, TASKS


def place_of(settled: Settled, folder: Path) -> Path | None:
    """The folder of what `begin` names.

    Args:
        settled: a run's settings.
        folder: the run's own.

    Raises:
        NameRefused: neither a run nor a start nor an adapter.
        SettingsError: the run itself, or what has the name of what it is to leave: it would begin elsewhere the next time.
    """
    begin = settled.tables[""]["begin"]
    if begin is None:
        return None
    folders = (Path(begin).expanduser(), home() / "runs" / begin)
    run = next((place for place in folders if stands(place)), None)
    place = run or (Starts().shelf(begin).path(begin) if settled.texts else folders[0])
    leaves = settled.texts and run is None and place.name == folder.resolve().name
    if leaves or place.resolve() == folder.resolve():
        raise SettingsError(
            f"begin is '{begin}', which is '{place}', and this run {'leaves that name' if leaves else 'is there'} "
            "itself, so that it would begin elsewhere each time: give another --out."
        )
    return place


def begun(place: Path | None, settled: Settled, base: Base | None) -> Weights:
    """The weights that lie at a place; none where there is none.

    Raises:
        SettingsError: a run whose training tasks may be test tasks here.
        RunRefused, NameRefused, AdapterRefused: nothing to begin from is there, or nothing for this base.
    """
    if place is None:
        return {}
    if base is not None and not stands(place):
        return prefixed("net", Starts().read(place.name, key_of(base)).weights)
    weights = learned_in(place, facts(base))
    there, here = toml.read(place / CONFIG).get("tasks", {}), settled.tables["tasks"]
    if there.get("kind") == here["kind"] and there.get("split") != here.get("split"):
        raise SettingsError(
            f"begin is '{place}', which was trained on tasks.split {there.get('split')!r}, here {here.get('split')!r}: it has seen "
            "classes that would be tested. Give both the same."
        )
    return weights


def refuse_seen(place: Path | None, job: Job) -> None:
    """What a run was begun with must not have trained on what judges it: files that came in are dealt anew, with all others.

    Raises:
        SettingsError: it has.
    """
    if place is None:
        return
    # Of a start or an adapter that another tool wrote, nothing is known.
    there = marks(sides_in(place)) if stands(place) else Starts().shelf(place.name).record(place.name).get("dealt") or {}
    found = seen(there, job.read.sides)
    if found:
        raise SettingsError(
            f"begin is '{place}', which was trained on what is held out here: {found}. Where files were added, taken away or renamed "
            f"since, all are dealt anew: leave begin out, or lay them in folders train, validation and test as that run's {TASKS} has them."
        )


def facts(base: Base | None, given: Weights | None = None) -> dict[str, str]:
    """What a run's folder keeps of what it bends and of what it began with, in a refusal's words; nothing where there is none."""
    told: Mapping[str, str] = {}
    if base is not None:
        key = key_of(base)
        told = {"name": key.name, "the base's weights": key.content, "the tokenizer": key.tokenizer, "the chat template": key.template}
    # By the names that an adapter's own weights have, so that it is the hash that `adapt` records of a start.
    own = {name.removeprefix("net."): w for name, w in (given or {}).items()}
    return {**told, **({BEGUN: str(hash_of_weights(own))} if own else {})}
