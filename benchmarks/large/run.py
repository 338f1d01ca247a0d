"""What does it take to teach a base of seven billion? An adapter on q_proj and v_proj, twenty steps of Adam, on a card.

python benchmarks/large/run.py [--device cuda] [--out FOLDER] [--seconds N] [--only NAME]. Making the base is not in what is timed.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from heights import Cells, arguments, give_back
from teaching import Taught, measured

BASES = ("Llama-2-7b-hf", "Llama-3.1-8B")
CELLS = (
    Taught(5, 64, True),
    Taught(10, 128, True),
    Taught(5, 64, False),
    Taught(10, 128, False),
    Taught(10, 128, True, chain=True),
    Taught(10, 128, False, chain=True, upper=True),
    Taught(10, 128, True, chain=True, upper=True),
    Taught(10, 128, True, piece=256),
    Taught(10, 64, True),
    Taught(5, 128, True),
    Taught(5, 64, False, piece=128),
    Taught(10, 128, False, piece=128),
    Taught(10, 64, False),
    Taught(5, 128, False),
)
"""The most telling first, as time may end."""


def main() -> None:
    asked = arguments(__doc__, 60)
    cells = Cells((asked.out or HERE / "results") / "large.json", asked.device, asked.seconds)
    names = [asked.only] if asked.only else BASES
    for name in names:
        if cells.left > 0:
            measured(name, "bf16", cells, asked.device, CELLS if name == names[0] else CELLS[:4])
            give_back(asked.device)


if __name__ == "__main__":
    main()
