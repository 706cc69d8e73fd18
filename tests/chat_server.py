"""A small server that speaks enough of OpenAI's chat completions, in a process of its own, and fails on request.

What it does is said by the model's name, so that a test scripts it by its configuration:
    answers            answers at once, citing the first passage
    unbilled           … without a usage
    busy-N             says 429 to the first N requests of every question, asking for 10 ms of patience
    broken-N           says 503 to the first N requests of every question, asking for nothing
    hangs              answers after ten seconds
    keyed              wants the key "sesame"
    absent             is not there: 404
Every answer's text tells how many requests for that question there were and the most that were under way at once.

Run as a program it prints its port. It stands in for a server only where a real one cannot be made to fail.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOCK = threading.Lock()
ASKED: Counter[str] = Counter()
UNDER_WAY, MOST = 0, 0
WORK_S = 0.05  # what an answer takes: long enough for requests to meet


class Chat(BaseHTTPRequestHandler):
    """POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        global UNDER_WAY, MOST
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question, model = body["messages"][-1]["content"], body["model"]
        with LOCK:
            ASKED[question] += 1
            UNDER_WAY += 1
            MOST = max(MOST, UNDER_WAY)
            tries = ASKED[question]
        try:
            self._act(model, tries)
        finally:
            with LOCK:
                UNDER_WAY -= 1

    def _act(self, model: str, tries: int) -> None:
        kind, _, number = model.partition("-")
        if kind == "busy" and tries <= int(number):
            self._send(429, {"error": {"message": "slow down"}}, **{"Retry-After-Ms": "10"})
        elif kind == "broken" and tries <= int(number):
            self._send(503, {"error": {"message": "try later"}})
        elif kind == "keyed" and self.headers.get("Authorization") != "Bearer sesame":
            self._send(401, {"error": {"message": "wrong key"}})
        elif kind == "absent":
            self._send(404, {"error": {"message": "no such model\nhere"}})
        else:
            time.sleep(10 if kind == "hangs" else WORK_S)
            text = f"Try {tries} of this one [1]. At most {MOST} at once."
            reply: dict[str, Any] = {
                "id": "1", "object": "chat.completion", "created": 0, "model": model,
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                ],
            }  # fmt: skip
            if kind != "unbilled":
                reply["usage"] = {"prompt_tokens": 123, "completion_tokens": 17, "total_tokens": 140}
            self._send(200, reply)

    def _send(self, status: int, content: dict[str, Any], **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None: ...


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    print(server.server_port, flush=True)
    sys.stdin.close()
    server.serve_forever()
