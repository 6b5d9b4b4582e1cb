"""A server on 127.0.0.1 that takes deliveries, answers as told, and hands each delivery to the caller."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.host import ports
from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Connections that wait to be accepted.
_BACKLOG = 64
#: A caller has this time to send its request.
_REQUEST_SECONDS = 15
#: No delivery is as long: a record's document has at most 350 KB.
_MOST_BYTES = 4_000_000


class Answer(NamedTuple):
    """The answer to every delivery: a status, and perhaps `Retry-After` in seconds."""

    status: int = 204
    retry_after_seconds: int | None = None

    def __str__(self) -> str:
        """Return the answer for people."""
        pause = self.retry_after_seconds
        return str(self.status) if pause is None else f"{self.status}, Retry-After {pause} s"


class Delivery(NamedTuple):
    """A delivery as it came: *headers* with names in lower case, and the raw *body*."""

    at: datetime
    headers: dict[str, str]
    body: bytes

    def field(self, name: str) -> str:
        """Return a field of the body as text; ``-`` if the body has no such field, or is no JSON object."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return "-"
        value = document.get(name) if isinstance(document, dict) else None
        return "-" if value is None else str(value)


class Listener:
    """A listening server: its *url*, and the deliveries that it took, in their order of arrival."""

    def __init__(self, url: str, taken: SimpleQueue[Delivery]) -> None:
        self.url = url
        self._taken = taken

    def deliveries(self) -> Iterator[Delivery]:
        """Yield each delivery once it is read; wait for the next one without end."""
        while True:
            yield self._taken.get()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print a traceback of a bug, and nothing of a caller that has gone away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def listening(port: int, answer: Answer) -> Iterator[Listener]:
    """Serve on *port* (0: any free port) during the block; answer each delivery with *answer*.

    Raises:
        CommandFailed: the port is taken.
    """
    try:
        bound = ports.bound(port)
    except ports.PortTaken as taken:
        raise CommandFailed(f"{taken} Choose another port with --port, or any free port with --port 0.") from None
    except PermissionError:
        raise CommandFailed(f"This user may not open port {port}. Choose a port above 1023 with --port.") from None
    bound.listen(_BACKLOG)
    deliveries: SimpleQueue[Delivery] = SimpleQueue()
    server = _Server(bound.getsockname(), _handler(deliveries, answer), bind_and_activate=False)
    server.socket.close()
    server.socket = bound
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield Listener(f"http://{ports.HOST}:{bound.getsockname()[1]}", deliveries)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(deliveries: SimpleQueue[Delivery], answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()):
                return self.send_error(411, explain="A delivery has a Content-Length.")
            if len(length) > len(str(_MOST_BYTES)) or int(length) > _MOST_BYTES:
                return self.send_error(413, explain="No delivery is as long.")
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                return None  # The caller broke off.
            deliveries.put(Delivery(datetime.now(UTC), headers, body))
            self.send_response(answer.status)
            if answer.retry_after_seconds is not None:
                self.send_header("Retry-After", str(answer.retry_after_seconds))
            self.send_header("Content-Length", "0")
            return self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # as the base class names it
            """Log nothing: the command prints each delivery."""

    return Handler
