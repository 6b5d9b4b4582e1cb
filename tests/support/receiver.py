"""A receiver of callbacks and webhooks: a real server on a free port, recording its requests."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    """A received request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        """The decoded JSON body."""
        return json.loads(self.body)


class Receiver:
    """The received requests, and *answer*, which returns status and headers for each request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.answer: Callable[[Received], tuple[int, dict[str, str]]] = lambda _: (204, {})


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve a `Receiver` during the block."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with lock:
                receiver.received.append(got)
            status, headers = receiver.answer(got)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
