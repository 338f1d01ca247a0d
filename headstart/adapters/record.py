"""What `headstart.json` may say, so that one from elsewhere is not believed in anything that could not be read here later."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from headstart.errors import AdapterRefused
from headstart.streams import CODES

_Text = Annotated[str, StringConstraints(pattern=rf"^[^{CODES}]*$")]


def legible(text: str) -> bool:
    """Whether a record may say it: whole letters and no codes."""
    return not re.search(rf"[{CODES}\ud800-\udfff]", text)


class _Part(BaseModel):
    # JSON as others read it has neither infinity nor NaN, and an answer over HTTP that held them could not be sent.
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Figures(_Part):
    """Handed out as a whole, with what a later version may add."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]


class _Base(_Part):
    name: _Text
    content: _Text
    tokenizer: _Text
    template: _Text
    local: bool = False


class _Score(_Figures):
    exact_match: float
    loss: float


class _Judged(_Figures):
    metric: _Text
    mean: float
    low: float
    high: float
    tasks: int


class _Record(_Part):
    """Keys that are read somewhere; others may be there."""

    kind: _Text | None = None
    base: _Base | None = None
    about: _Text | None = None
    by: _Text | None = None
    licence: _Text | None = None
    base_licence: _Text | None = None
    start_licence: _Text | None = None
    examples: int | None = None
    system: str | None = None
    """Read by the base alone, so it may hold what a terminal would obey."""
    precision: _Text | None = None
    examples_hash: _Text | None = None
    start: _Text | None = None
    start_hash: _Text | None = None
    starts: dict[_Text, float] | None = None
    glances: dict[_Text, float] | None = None
    steps: int | None = None
    rate: float | None = None
    meta_steps: int | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    scores: dict[_Text, _Score | None] | None = None
    ways: dict[_Text, _Score | None] | None = None
    score: _Judged | None = None
    dealt: dict[_Text, list[_Text]] | None = None
    """Hashes of what trained and judged it, where that lies in files."""
    folds: int | None = None
    verdict: _Text | None = None
    clear: bool | None = None
    advice: _Text | None = None
    prefix: int | None = None
    versions: dict[_Text, _Text] | None = None
    job: _Text | None = None
    checked: bool | None = None


def check(name: str, text: str) -> None:
    """See that a record is one.

    Args:
        name: the adapter's, for the refusal.
        text: what the file holds.

    Raises:
        AdapterRefused: everything that is wrong with it.
    """
    try:
        _Record.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, it['loc'])) or 'the whole'}: {it['msg']}" for it in error.errors()[:5])
        raise AdapterRefused(
            f"The headstart.json of '{name}' is not what headstart writes ({wrong}); remove the adapter or make it again."
        ) from error
