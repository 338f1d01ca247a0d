"""Teach a base from a file of examples and ask it something new: python examples/teach.py [BASE]."""

import sys
from pathlib import Path

from headstart.bank import fill
from headstart.lm.load import load
from headstart.tasks.texts import read_examples
from headstart.teach import Recipe, graft, teach
from headstart.teach.asking import answer

here = Path(__file__).parent
base = load(sys.argv[1] if len(sys.argv) > 1 else None)
examples = read_examples(here / "crew.jsonl", least=2)
asked = read_examples(here / "crew-more.jsonl")[:4]

recipe = Recipe(folds=0)
taught = teach(base, examples, recipe)
print(f"{len(examples)} examples, {taught.steps} steps, {taught.seconds:.1f} s")

answers = answer(graft(base, recipe), base.chat, fill(taught.weights, 1), 1, taught.prefix, asked)
for example, text in zip(asked, answers.texts, strict=True):
    print(f"{example.prompt}\n  wanted {example.completion}\n  got    {text}")
