"""The program of the receiver's process: keeps the last calls in memory, and answers each as told. No secret is here.

Any process of this machine may POST. The two addresses of a reader, ``/received`` and ``/answer``, are closed to pages
of other sites: by their Origin, and by the Host that a rebound name would have. Standard library alone.
"""

from __future__ import annotations

import json
import re
import secrets
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock, Timer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

MAX_BODY_BYTES, KEPT_CALLS, CONNECTIONS = 65_536, 100, 16
#: A caller has this time to send its request, and again to read the answer.
REQUEST_SECONDS = 15
MAX_DELAY_MS = 20_000
#: As much of a refused body is read, so that the caller reads the answer instead of a broken connection.
DISCARDED_BYTES = 1_000_000
#: Longer paths and headers are kept up to here.
KEPT_CHARACTERS, MOST_HEADERS = 2_048, 20
KEPT_HEADERS = re.compile(r"webhook-[a-z-]{1,40}|content-type|x-request-id|user-agent")
HOST = re.compile(r"(localhost|127\.0\.0\.1)(:\d{1,5})?")
ORIGIN = re.compile(rf"http://{HOST.pattern}")
PLACES = {"/received": ("GET", "DELETE"), "/answer": ("PUT",)}


class Refused(Exception):
    """A request that gets a problem document with *detail*."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = HTTPStatus(status), detail, headers


class Answer(NamedTuple):
    """The answer to calls: a status, Retry-After in seconds, and a delay before."""

    status: int = 204
    retry_after: int | None = None
    delay_ms: int = 0

    @classmethod
    def read(cls, body: bytes) -> Answer:
        """Return the answer that the JSON *body* describes.

        Raises:
            Refused: 400 for a body that is no JSON, 422 for one that describes no answer.
        """
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "The body is not JSON.") from None
        if not isinstance(given, dict) or given.keys() - {"status", "retryAfter", "delayMs"}:
            raise Refused(422, 'The body must be an object with "status", and may have "retryAfter" and "delayMs".')
        status = _whole(given, "status", (200, 204, *range(400, 600)), "200, 204, or from 400 to 599")
        pause, delay = given.get("retryAfter"), 0
        if pause is not None:
            pause = _whole(given, "retryAfter", range(86_401), "whole seconds from 0 to 86400, or null")
        if "delayMs" in given:
            delay = _whole(given, "delayMs", range(MAX_DELAY_MS + 1), f"whole milliseconds from 0 to {MAX_DELAY_MS}")
        return cls(status, pause, delay)

    def document(self) -> dict[str, int | None]:
        """Return the answer as JSON shows it."""
        return {"status": self.status, "retryAfter": self.retry_after, "delayMs": self.delay_ms}


class Calls:
    """The last calls, and the answer to the next ones. For all threads."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._lock = Lock()
        self._items: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)

    def keep(self, path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        """Keep a call in place of the oldest one, and return it. The status is None until the call is answered."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        call: dict[str, Any] = {"id": secrets.token_hex(8), "at": at, "path": path[:KEPT_CHARACTERS]}
        call |= {"headers": headers, "body": body.decode(errors="replace"), "status": None}
        with self._lock:
            self._items.appendleft(call)
        return call

    def document(self) -> dict[str, Any]:
        """Return the calls, the newest first, and the answer from now on."""
        with self._lock:
            return {"items": list(self._items), "answer": self.answer.document()}

    def forget(self) -> None:
        """Forget all calls. The answer from now on stays."""
        with self._lock:
            self._items.clear()


class Server(ThreadingHTTPServer):
    """Serves `CONNECTIONS` at a time. Further connections wait in the backlog of the listening *listener*."""

    def __init__(self, listener: socket.socket) -> None:
        # Neither bound nor activated: the port was taken before this process began, so no other can take it.
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.calls = listener, Calls()
        self._places = BoundedSemaphore(CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Wait for a place, and serve the connection on a thread."""
        self._places.acquire()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the connection, and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a fault of this program; a caller that has left is none."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One request of one connection: HTTP/1.0, so that no idle connection has a place."""

    server: Server
    server_version, sys_version = "holdfast-receiver", ""
    #: Of each single read and of the whole answer.
    timeout = REQUEST_SECONDS
    #: The origin of a page that may read the answer.
    _reader = ""

    def setup(self) -> None:
        """Begin the time in which the request must come; then the rest is read as its end."""
        super().setup()
        # A caller that sends a byte now and then would never meet the timeout of a single read.
        self._patience = Timer(REQUEST_SECONDS, self.connection.shutdown, [socket.SHUT_RD])
        self._patience.daemon = True
        self._patience.start()

    def finish(self) -> None:
        """End the connection."""
        self._patience.cancel()
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log no request."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer with a problem: the base class calls this for a request that cannot be read."""
        self.request_version = self.protocol_version
        self._refuse(Refused(code, message or HTTPStatus(code).description))

    def do_any(self) -> None:
        """Answer a request of any method."""
        try:
            self._route()
        except Refused as refused:
            self._refuse(refused)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_any  # noqa: N815 - as dispatched

    def _route(self) -> None:
        place = self.path.partition("?")[0]
        methods = PLACES.get(place)
        if methods is not None:
            self._admit_reader()
        if self.command == "OPTIONS" and methods:
            allow = "Access-Control-Allow-"
            self._send(204, headers={f"{allow}Methods": ", ".join(methods), f"{allow}Headers": "Content-Type"})
        elif self.command not in (methods or ("POST",)):
            allowed = ", ".join(methods or ("POST",))
            raise Refused(405, f"This address takes {allowed}. GET /received shows the calls.", Allow=allowed)
        elif self.command == "POST":
            self._receive()
        elif self.command == "GET":
            self._send_json(self.server.calls.document())
        elif self.command == "DELETE":
            self.server.calls.forget()
            self._send(204)
        else:
            self.server.calls.answer = Answer.read(self._body())
            self._send_json(self.server.calls.answer.document())

    def _admit_reader(self) -> None:
        """Refuse pages of other sites, by their own names and by a name that now leads to this machine."""
        if not HOST.fullmatch(self.headers.get("Host", "")):
            raise Refused(403, "Only localhost and 127.0.0.1 are names of this receiver.")
        origin = self.headers.get("Origin")
        if origin is not None and not ORIGIN.fullmatch(origin):
            raise Refused(403, "Only a page of this machine may read what came, or change the answer.", Vary="Origin")
        self._reader = origin or ""

    def _receive(self) -> None:
        """Keep the call, and answer as told. A caller that leaves before the answer ends the delay."""
        calls, headers = self.server.calls, dict[str, str]()
        for name, value in self.headers.items():
            if KEPT_HEADERS.fullmatch(name.lower()) and len(headers) < MOST_HEADERS:
                headers[name.lower()] = value[:KEPT_CHARACTERS]
        try:
            call = calls.keep(self.path, headers, self._body())
        except Refused as refused:
            calls.keep(self.path, headers, b"")["status"] = refused.status
            raise
        answer = calls.answer
        if not self._caller_stays(answer.delay_ms / 1000):
            return
        call["status"] = answer.status
        pause = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
        self._send(answer.status, headers=pause)

    def _body(self) -> bytes:
        """Return the body.

        Raises:
            Refused: the body is too large, has no known length, or did not come whole in time.
        """
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            raise Refused(411, "A body must come with its Content-Length.")
        if not re.fullmatch(r"\d{1,12}", length):
            raise Refused(400, "Content-Length is no length.")
        if int(length) > MAX_BODY_BYTES:
            self.rfile.read(min(int(length), DISCARDED_BYTES))
            raise Refused(413, f"A body may have {MAX_BODY_BYTES} bytes.")
        body = self.rfile.read(int(length))
        # From here on the caller waits for this program.
        self._patience.cancel()
        if len(body) < int(length):
            raise Refused(408, "The body did not come whole in time.")
        return body

    def _caller_stays(self, seconds: float) -> bool:
        """Wait for *seconds*; return false as soon as the caller has closed the connection."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if select.select([self.connection], [], [], left)[0]:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return False
                # More than the request came: whether the caller stays cannot be seen.
                time.sleep(max(0.0, ends - time.monotonic()))
        return True

    def _refuse(self, refused: Refused) -> None:
        status, headers = refused.status, {"Content-Type": "application/problem+json", **refused.headers}
        problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": refused.detail}
        self._send(status, json.dumps(problem).encode(), headers)

    def _send_json(self, document: object) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})) -> None:
        fixed = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        if self._reader:
            fixed |= {"Access-Control-Allow-Origin": self._reader, "Vary": "Origin"}
        self.send_response(status)
        for name, value in {**headers, **fixed}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _whole(given: dict[str, Any], name: str, allowed: Container[int], words: str) -> int:
    value = given.get(name)
    if type(value) is not int or value not in allowed:
        raise Refused(422, f'"{name}" must be {words}.')
    return value


def main(descriptor: str) -> None:
    """Serve at the listening socket *descriptor* until the process is ended."""
    Server(socket.socket(fileno=int(descriptor))).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
