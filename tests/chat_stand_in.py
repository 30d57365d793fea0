"""A real HTTP server that speaks as much of OpenAI's API as is used, with scripted answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the server sends: a reply's text, or anything else that a broken server might."""

    text: str = ""
    status: int = 200
    body: bytes | None = None
    """Sent as it is instead of a completion with ``text``."""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    """Send nothing until the server stops."""
    finish: str = "stop"


BUSY = Answer(
    status=429, body=b'{"error": {"message": "slow down"}}', headers={"retry-after-ms": "1"}
)
BROKEN = Answer(status=500, body=b'{"error": {"message": "boom"}}', headers={"retry-after-ms": "1"})
REFUSED = Answer(status=400, body=b'{"error": {"message": "response_format is not supported"}}')
HTML = Answer(body=b"<html>hello</html>", headers={"content-type": "text/html"})
CUT = Answer(body=b'{"choices": [{"mess', headers={"content-type": "application/json"})
HANG = Answer(hang=True)

Script = Callable[[str, dict[str, Any]], Answer]
"""From the path and the request's JSON to the answer."""


class StandIn:
    """A running server: where it is, and what it was asked."""

    def __init__(self, script: Script | list[Answer]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._script = script
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; the port is closed afterwards."""
        if not self._over.is_set():
            self._over.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(60)

    def texts(self) -> list[str]:
        """The last message of every request, pictures left out."""
        return [said(request["messages"][-1]) for request in self.asked if "messages" in request]

    def _next(self, path: str, asked: dict[str, Any]) -> Answer:
        with self._lock:
            self.asked.append(asked)
            if callable(self._script):
                return self._script(path, asked)
            if not self._script:
                return Answer(status=500, body=b"the script is over")
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, {"object": "list", "data": [{"id": "toy", "object": "model"}]})

            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                stand_in.headers.append({k.lower(): v for k, v in self.headers.items()})
                answer = stand_in._next(self.path, told)
                if answer.hang:
                    stand_in._over.wait(300)
                    self.close_connection = True
                    return
                if answer.body is not None:
                    headers = {"content-type": "application/json", **answer.headers}
                    self._send(answer.status, answer.body, headers)
                elif self.path.endswith("/images/generations"):
                    self._send(answer.status, {"created": 1, "data": [{"b64_json": answer.text}]})
                else:
                    self._send(answer.status, completion(answer))

            def _send(
                self,
                status: int,
                body: bytes | dict[str, Any],
                headers: dict[str, str] | None = None,
            ) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in (headers or {"content-type": "application/json"}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.send_header("connection", "close")  # a server that has stopped is gone
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return

        return Handler


def completion(answer: Answer) -> dict[str, Any]:
    """A chat completion with one choice."""
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": "toy",
        "choices": [{"index": 0, "finish_reason": answer.finish,
                     "message": {"role": "assistant", "content": answer.text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
    }  # fmt: skip


def said(message: dict[str, Any]) -> str:
    """The words of a message."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


@contextmanager
def serving(script: Script | list[Answer]) -> Iterator[StandIn]:
    """A server that is stopped at the end."""
    stand_in = StandIn(script)
    try:
        yield stand_in
    finally:
        stand_in.stop()
