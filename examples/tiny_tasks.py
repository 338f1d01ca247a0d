"""Twenty tiny tasks, a file each: city codes, every file with a notation of its own. python examples/tiny_tasks.py FOLDER"""

import json
import random
import sys
from pathlib import Path

CITIES = "Oslo Rome Lima Cairo Paris Tokyo Delhi Quito Berlin Dublin Madrid Vienna".split()
FRAMES = ("<{}>", "[{}]", "{}!", "#{}", "({})", "{}.", "go {}", "{} now", "at:{}", "{}/1")

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for task in range(20):
    rng = random.Random(task)
    frame, length, upper = rng.choice(FRAMES), rng.randint(2, 3), rng.random() < 0.5
    rows = []
    for city in CITIES:
        code = city[:length].upper() if upper else city[:length].lower()
        rows.append({"prompt": f"Code for {city}?", "completion": frame.format(code)})
    (folder / f"codes-{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
print(f"20 tasks of {len(CITIES)} examples in {folder}")
