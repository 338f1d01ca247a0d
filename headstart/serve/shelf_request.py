"""What a client sends to have the shelf put in order, or to know beforehand what something will cost."""

from __future__ import annotations

from typing import Annotated, final

from pydantic import Field

from headstart.adapters.beginnings import AUTO
from headstart.plan.setting import Setting
from headstart.serve.wire import Strict
from headstart.terms import Purpose

Name = Annotated[str, Field(max_length=256)]


@final
class RenameRequest(Strict):
    """`POST /v1/adapters/{id}/rename`."""

    to: Name


@final
class RestoreRequest(Strict):
    """`POST /v1/removed/restore`; without a name it is called as before."""

    to: Name | None = None
    id: Name | None = None
    """What is meant; None: whatever was removed last."""


@final
class ForecastRequest(Strict):
    """`POST /v1/fine_tuning/forecast`: rows as a file would hold them, and what would be done with them."""

    text: str
    filename: Name | None = None
    """Its end tells how the rows are read; without one they are looked at."""
    start: Name = AUTO
    scratch: bool = False
    prefix: bool = True


@final
class PlanRequest(Strict):
    """`POST /v1/plan`: the served base on a card, in so much memory, or on this machine."""

    card: Name | None = None
    memory: Name | None = None
    purpose: Purpose = "adapt"
    examples: Annotated[int, Field(ge=1, le=10_000)] = Setting.examples
    length: Annotated[int, Field(ge=2, le=1_000_000)] = Setting.length
    rows: Annotated[int, Field(ge=1, le=256)] = Setting.rows
    context: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Of a request; None: the planner's own number, or the base's context where that is less."""
    adapters: Annotated[int, Field(ge=0, le=10_000)] = Setting.adapters

    def setting(self, precision: str, context: int) -> Setting:
        """In the planner's words, for a base in this precision and with so many tokens of context."""
        return Setting(
            precision=precision,
            examples=self.examples,
            length=self.length,
            answer=max(1, self.length // 2),
            rows=self.rows,
            context=self.context or min(Setting.context, context),
            adapters=self.adapters,
        )
