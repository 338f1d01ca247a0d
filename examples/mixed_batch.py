"""One forward pass, three rows, three different models: the base and two adapters."""

import torch

from headstart.bank import blank, put
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.tiny import tiny_model

net = Grafted(tiny_model("llama"), "all-linear", rank=4)
weights = net.blank(seed=0)
bank = blank(weights, slots=2)  # slot 0 is the base, for good
for slot in (1, 2):
    put(bank, slot, {name: torch.randn_like(w) / 5 for name, w in weights.items()})

question = Encoded(prompt=(5, 6, 7, 8), completion=(9,))
rows = Batch.of([question] * 3)
with torch.inference_mode():
    logits = net(bank, torch.tensor([0, 1, 2]), rows)
    alone = net(bank, torch.tensor([2]), Batch.of([question]))
print("likeliest next token of each row:", logits.argmax(-1).tolist())
print("row 2 in the batch and alone differ by", float((logits[2] - alone[0]).abs().max()))
