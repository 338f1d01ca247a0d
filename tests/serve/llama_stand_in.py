"""A program that speaks llama-server's wire, its traps included, and says which adapters a request was answered under.

Words: a token's worth each, `TOKEN_SECONDS` apart, behind `PROMPT_LOOKS` signs of life and `SILENT_SECONDS`. A request without `lora` is
answered under all adapters, an unknown place under none, as there; and without a key to ask for, everyone. What it is asked goes into
`asked.jsonl` beside it, its number into `pid`, and what it was begun with into `words`.
"""

import hashlib
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
WORDS = sys.argv[1:]
ADAPTERS = WORDS[WORDS.index("--lora") + 1].split(",") if "--lora" in WORDS else []
SCALES = {i: 0.0 if "--lora-init-without-apply" in WORDS else 1.0 for i in range(len(ADAPTERS))}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def stranger(self):
        key = os.environ.get("LLAMA_API_KEY")
        return key and self.path != "/health" and self.headers["authorization"] != f"Bearer {key}"

    def do_GET(self):
        if self.stranger():
            return self.send({"error": "Invalid API Key"}, 401)
        return self.send(
            {"status": "ok"} if self.path == "/health" else [{"id": i, "path": p, "scale": SCALES[i]} for i, p in enumerate(ADAPTERS)]
        )

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.stranger():
            return self.send({"error": "Invalid API Key"}, 401)
        if self.path == "/lora-adapters":
            SCALES.update({it["id"]: it["scale"] for it in body})
            return self.send({"success": True})
        with (HERE / "asked.jsonl").open("a") as log:
            log.write(json.dumps(body | {"at": time.monotonic()}) + "\n")
        if not body.get("stream"):
            return self.send(self.likely("word", body["n_probs"]))
        on = {it["id"] for it in body["lora"] if it["scale"]} if body.get("lora") else set(range(len(ADAPTERS)))
        told = ["under", *(hashlib.sha256(Path(p).read_bytes()).hexdigest() for i, p in enumerate(ADAPTERS) if i in on)]
        told += ["word"] * 500
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for _ in range(int(os.environ.get("PROMPT_LOOKS", "0"))):
            time.sleep(0.05)
            if body.get("return_progress"):
                self.event({"content": "", "tokens": [], "stop": False, "prompt_progress": {"total": 9, "processed": 0}})
        time.sleep(float(os.environ.get("SILENT_SECONDS", "0")))
        for i, word in enumerate(told[: body["n_predict"]]):
            time.sleep(float(os.environ.get("TOKEN_SECONDS", "0")))
            self.event({"content": f"{word} ", "tokens": [i], "stop": False, **self.likely(word, body["n_probs"])})
        self.event({"content": "", "tokens": [], "stop": True, "stop_type": "limit", "tokens_predicted": i + 1, "timings": {"cache_n": 1}})
        return None

    def likely(self, word, wanted):
        top = [{"id": n, "token": f"{word}{n}", "logprob": -1.0 - n} for n in range(wanted)]
        return {"completion_probabilities": [{"id": 0, "token": word, "logprob": -0.5, "top_logprobs": top}]} if wanted else {}

    def event(self, body):
        self.wfile.write(f"data: {json.dumps(body)}\n\n".encode())
        self.wfile.flush()

    def send(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if "refuse" in os.environ.get("LLAMA_STAND_IN", ""):
    sys.exit("error: this model cannot be read")
if "stays" in os.environ.get("LLAMA_STAND_IN", ""):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with (HERE / "pid").open("a") as pids:
    pids.write(f"{os.getpid()}\n")
(HERE / "words").write_text(json.dumps(WORDS))
ThreadingHTTPServer(("127.0.0.1", int(WORDS[WORDS.index("--port") + 1])), Handler).serve_forever()
