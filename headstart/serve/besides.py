"""Everything that is served beside answers: teaching, the shelf, forecasts, this machine, and the page over all of it."""

from __future__ import annotations

from starlette.routing import Route

from headstart.adapters.store import Shelf
from headstart.serve.api import Api
from headstart.serve.forecasting import Forecasting, Pace
from headstart.serve.ledger import Ledger
from headstart.serve.machine import Machine
from headstart.serve.shelving import Shelving
from headstart.serve.spare import Spare
from headstart.serve.studio import Studio
from headstart.serve.teacher import Teacher
from headstart.serve.teaching import Teaching


def besides(api: Api, spare: Spare, shelf: Shelf, ledger: Ledger, teacher: Teacher) -> list[Route]:
    """Routes for `Api.app`.

    Args:
        api: whose name of the base, whose limits and whose end hold here too.
        spare: for forecasts and exports.
        shelf: where adapters lie.
        ledger: files and jobs.
        teacher: that works at them.
    """

    def taken() -> set[str]:
        return {api.base, *(job.adapter for job in ledger.jobs() if job.finished is None)}

    def quiet() -> bool:
        return not api.engine.busy() and ledger.first() is None

    return [
        *Teaching(ledger, teacher, shelf, api.base, api.limits, api.stopping).routes(),
        *Shelving(api.engine, shelf, spare, api.limits, taken).routes(),
        *Forecasting(spare, api.limits, Pace(quiet)).routes(),
        *Machine(api.engine, api.base, spare.device).routes(),
        *Studio().routes(),
    ]
