"""What does a base of seven billion take in few bits, on a card? The same adapter taught to it in 4 bits, in 8 and in full.

python benchmarks/small/card.py [--device cuda] [--out FOLDER] [--seconds N] [--only NAME]. Each precision fails alone: its row says why.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "large")]

from heights import Cells, Facts, arguments, give_back
from teaching import Taught, base_of, cell

NAME, TAUGHT = "Llama-2-7b-hf", Taught(10, 128, True)


def main() -> None:
    asked = arguments(__doc__, 120)
    name, device = asked.only or NAME, asked.device
    cells = Cells((asked.out or HERE / "results") / "small-card.json", device, asked.seconds)
    for precision in ("4bit", "8bit", "bf16"):
        print(f"{name} in {precision} …", flush=True)

        def taught(precision: str = precision) -> Facts:
            return cell(base_of(name, precision, cells, device), TAUGHT, device)

        found = cells.add({"base_name": name, "precision": precision, **asdict(TAUGHT)}, taught)
        brief = ("base", "forecast_base", "beside_the_base", "forecast_beside_the_base", "card", "seconds", "error")
        print({key: found[key] for key in brief if key in found}, flush=True)
        give_back(device)


if __name__ == "__main__":
    main()
