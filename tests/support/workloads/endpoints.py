"""Receivers of webhooks that fail for a moment, and remember which calls were answered."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

#: Longer than any call lasts.
_ENDLESS_SECONDS = 30


class Failure(StrEnum):
    """How an endpoint fails a call."""

    ERROR = "answers 500"
    BUSY = "answers 429 without Retry-After"
    DROP = "takes the call and hangs up"
    DRIP = "answers a byte a second"
    HANG = "never answers"


class Call(NamedTuple):
    """A received call."""

    at: datetime
    #: The caller's address and port.
    caller: tuple[str, int]
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The delivery's id."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def _nothing(_: Call) -> None:
    """Leave the call as it is."""


class Endpoint:
    """An endpoint at *url*. Safe to use from many threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[Call] = []
        #: The calls that were answered with 204, in the order of their answers.
        self.taken: list[Call] = []
        #: Is called with each call before its answer, and may say how the call fails.
        self.on_call: Callable[[Call], Failure | None] = _nothing
        #: Is called with each call after it was taken.
        self.on_taken: Callable[[Call], object] = _nothing
        self.over = threading.Event()
        self._failures: deque[Failure] = deque()

    def fail(self, failure: Failure, times: int = 1) -> None:
        """Fail the next calls, in the place of earlier failures that wait for a call."""
        self._failures = deque([failure] * times)

    def recover(self) -> None:
        """Fail no further call."""
        self._failures.clear()

    def receive(self, call: Call) -> Failure | None:
        """Record *call*, and return how it fails, or None."""
        self.calls.append(call)
        if failure := self.on_call(call):
            return failure
        try:
            return self._failures.popleft()
        except IndexError:
            return None


@contextmanager
def serving() -> Iterator[Endpoint]:
    """Serve an endpoint during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            # A killed caller has hung up.
            with suppress(OSError):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                _answer(self, endpoint, Call(datetime.now(UTC), self.client_address, headers, body))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, endpoint: Endpoint, call: Call) -> None:
    failure = endpoint.receive(call)
    if failure in {None, Failure.ERROR, Failure.BUSY}:
        handler.send_response({None: 204, Failure.ERROR: 500, Failure.BUSY: 429}[failure])
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        if failure is None:
            endpoint.taken.append(call)
            handler.wfile.flush()
            endpoint.on_taken(call)
    elif failure is Failure.HANG:
        endpoint.over.wait(_ENDLESS_SECONDS)
    elif failure is Failure.DRIP:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: ".ljust(_ENDLESS_SECONDS, b"x"):
            handler.wfile.write(bytes([byte]))
            if endpoint.over.wait(1):
                return
