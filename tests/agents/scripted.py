"""A server on loopback that speaks as OpenAI's does, and answers what a test has written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.agents.providers import CHECKERS

#: Answers that are no document.
REFUSE, SILENCE, BROKEN = object(), object(), object()


@dataclass
class Script:
    """What is answered, one after the other, the last one again and again; and what was asked."""

    answers: list[Any]
    asked: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def next(self, body: dict[str, Any]) -> Any:
        """Note the request, and whether its schema keeps to all limits; give the answer."""
        self.asked.append(body)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if not isinstance(answer, str):
            self._check(body)
        return answer

    def _check(self, body: dict[str, Any]) -> None:
        schemas = []
        if form := body.get("response_format"):
            schemas.append(form["json_schema"])
        schemas += [tool["function"] for tool in body.get("tools", ())]
        if len(schemas) != 1:
            self.faults.append(f"{len(schemas)} schemas")
        for holder in schemas:
            if holder.get("strict") is not True:
                self.faults.append("not strict")
            schema = holder.get("schema") or holder.get("parameters")
            for check in CHECKERS.values():
                self.faults += check(schema)


@contextmanager
def serve(*answers: Any) -> Iterator[Script]:
    """Serve a script: documents of the strict form, texts, statuses of HTTP, or what is above."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            answer = script.next(body) if self.path == "/v1/chat/completions" else 404
            if answer is SILENCE:
                script.over.wait(30)
                return
            status = answer if isinstance(answer, int) else 200
            told = {"error": {"message": "scripted", "type": "scripted"}}
            self._send(status, told if status != 200 else complete(body, answer))

        def _send(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def complete(body: dict[str, Any], answer: Any) -> dict[str, Any]:
    """A completion as the API gives it: by text, by the tool, or a refusal."""
    text = answer if isinstance(answer, str) else json.dumps(answer, default=str)
    text = '{"flow": {' if answer is BROKEN else text
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if answer is REFUSE:
        message |= {"content": None, "refusal": "I can't help with that."}
    elif tools := body.get("tools"):
        function = {"name": tools[0]["function"]["name"], "arguments": text}
        call = {"id": "call_1", "type": "function", "function": function}
        message |= {"content": None, "tool_calls": [call]}
    ending = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": ending, "logprobs": None}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def strict_step(slug: str, uses: str, *depends_on: str, **more: Any) -> dict[str, Any]:
    """A step of the strict form."""
    empty = dict.fromkeys(("params_json", "initial_tasks", "max_attempts", "timeout"))
    named = {"slug": slug, "uses": uses, "type": "single", "depends_on": list(depends_on)}
    return {**named, "inputs": [], **empty, **more}


def strict_answer(*steps: dict[str, Any], slug: str = "adding", **more: Any) -> dict[str, Any]:
    """An answer of the strict form."""
    flow = {"workflow_slug": slug, "description": "", "max_attempts": None, "timeout": None}
    return {"flow": {**flow, "steps": list(steps)}, "why": "As asked.", "unmet": [], **more}
