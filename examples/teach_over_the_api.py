"""Teach an adapter over the API of a running `headstart serve`, and ask it: python teach_over_the_api.py [http://127.0.0.1:8000/v1]"""

import json
import sys
import time

from openai import OpenAI

client = OpenAI(base_url=sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1", api_key="none")
codes = {"left 90": "<L 90>", "right 45": "<R 45>", "climb 10": "<C 10>", "right 5": "<R 5>", "climb 25": "<C 25>", "left 30": "<L 30>"}
rows = [{"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": code}]} for asked, code in codes.items()]

file = client.files.create(file=("codes.jsonl", "\n".join(map(json.dumps, rows)).encode()), purpose="fine-tune")
job = client.fine_tuning.jobs.create(model=client.models.list().data[0].id, training_file=file.id)
while job.status in ("queued", "running"):
    time.sleep(0.5)
    job = client.fine_tuning.jobs.retrieve(job.id)
print(next(iter(client.fine_tuning.jobs.list_events(job.id))).message)

answer = client.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "right 20"}], temperature=0)
print("right 20:", answer.choices[0].message.content)
