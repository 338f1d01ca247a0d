"""What the planner of today says of a card's cells that were measured before: python benchmarks/planner/again.py

Adds `forecast_now`, `off_now` and `off_beside_now` to the cells of results/planner-card.json, and their sums. A cell whose work is computed
otherwise by now carries `until`, which says what has changed: it is judged by the forecast of its time alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from card import BARE, HERE, summary

from headstart.plan.forecast import forecast
from headstart.plan.setting import Setting
from headstart.plan.source import known, model

PATH = HERE / "results" / "planner-card.json"


def main(path: Path = PATH) -> None:
    result = json.loads(path.read_text())
    done = [it for it in result["cells"] if it.get("peak")]
    for it in done:
        name = next(name for name in known() if name.endswith(it["shape"]))
        setting = Setting(**{**it["setting"], "target": tuple(it["setting"].get("target", Setting.target))})
        told = forecast(model(name).shape, setting, it["for"], BARE)
        base = told.pieces["base"]
        it |= {
            "forecast_now": told.peak,
            "off_now": None if "until" in it else told.peak / it["peak"] - 1,
            "off_beside_now": None if "until" in it else (told.peak - base) / (it["peak"] - base) - 1,
        }
    then = [it for it in done if not it.get("earlier")]
    result["summary"] = {key: summary(then, key) for key in ("off", "off_beside")}
    result["summary"] |= {key: summary(done, key) for key in ("off_now", "off_beside_now")}
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
