"""The management API of a gateway of WebSockets behind a real socket: notes events, and closed connections."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

_ERRORS = {410: "GoneException", 429: "LimitExceededException", 403: "ForbiddenException"}


class Management:
    """A server at `url`. ``with Management()`` starts and stops it."""

    def __init__(self) -> None:
        #: Connection id and event, in the order of arrival.
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.closed: list[str] = []
        #: The status of answers to calls of a connection, by its id.
        self.answers: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/api"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sent_to(self, connection_id: str) -> list[dict[str, Any]]:
        """Return the events that the connection took."""
        return [event for id_, event in self.sent if id_ == connection_id]


def _handler(management: Management) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self._id() not in management.answers:
                management.sent.append((self._id(), json.loads(body)))
            self._answer(200)

        def do_DELETE(self) -> None:
            if self._id() not in management.answers:
                management.closed.append(self._id())
            self._answer(204)

        def _id(self) -> str:
            return unquote(self.path.rpartition("/@connections/")[2])

        def _answer(self, status: int) -> None:
            refused = management.answers.get(self._id())
            self.send_response(refused or status)
            if refused:
                self.send_header("x-amzn-ErrorType", _ERRORS[refused])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
