"""An HTTP server in place of the deployed API, with planned answers and a record of requests."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class ReceivedRequest(NamedTuple):
    """A received request."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes


class Answer(NamedTuple):
    """A planned answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


class Server(ThreadingHTTPServer):
    """A threading server; broken connections are not logged."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing."""


class Upstream:
    """The server. *answer* may block, to be a slow API."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.answer: Callable[[ReceivedRequest], Answer] = lambda _asked: Answer()
        self.serving = 0
        self.most_at_once = 0
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/base"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Let go of the port."""
        self._server.shutdown()
        self._server.server_close()

    def answer_with(self, status: int, document: object) -> None:
        """Answer every request with *status* and *document*."""
        self.answer = lambda _asked: Answer(status, json.dumps(document).encode())

    def _count(self, step: int) -> None:
        with self._lock:
            self.serving += step
            self.most_at_once = max(self.most_at_once, self.serving)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                length = int(self.headers.get("Content-Length") or 0)
                asked = ReceivedRequest(self.command, self.path, self.headers.items(), self.rfile.read(length))
                upstream.requests.append(asked)
                upstream._count(1)
                try:
                    self._say(upstream.answer(asked))
                finally:
                    upstream._count(-1)

            def _say(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        return Handler
