"""The proxy's connections: bounded in number, closed if no head comes, and never in a log with a part of their request.

A connection is *idle* while the proxy waits for the head of a request.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from infra.local.proxy import problems

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

#: The time for a head, from the connection or from the head's first byte; and for the next request of a connection.
HEAD_SECONDS, IDLE_SECONDS = 10.0, 75.0
#: The most connections of one address and of all addresses. Each connection takes a file of the supervisor's.
PEER_CONNECTIONS, ALL_CONNECTIONS = 512, 768
#: More than any gateway takes for a request line or a header, so that the API, not the proxy, refuses long fields. The
#: sizes differ, because the parser's error names the size and not the part of the head.
LONGEST_LINE, LONGEST_FIELD = 65_536, 65_535


class Connection(RequestHandler):
    """One caller's connection."""

    __slots__ = ("_head_timer", "idle_since", "peer")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or answer 503 if there are too many and none is idle."""
        super().connection_made(transport)
        self.peer = str((transport.get_extra_info("peername") or [""])[0])
        self.idle_since: float | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._await_head()
        if not cast("Connections", self._manager).make_room(self):
            self._end(problems.many_connections())

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the caller. A head that has begun must come whole in time."""
        heads = self._request_count
        super().data_received(data)
        self._refuse_rest()
        if self._request_count > heads:
            self._head_came()
        elif self._waiter is not None and self._head_timer is None:
            self._await_head()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; the connection is idle again, unless the next head has come."""
        sent = await super().finish_response(request, resp, start_time)
        if not self._messages:
            self.idle_since = self._loop.time()
        return sent

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 # nothing of a request is logged
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 # quotes the request
    ) -> web.StreamResponse:
        """Return a problem for a malformed head, or for a fault of the proxy. Nothing of the request is logged."""
        if isinstance(exc, LineTooLong):
            answer = problems.long_line() if exc.args[1] == LONGEST_LINE else problems.long_field()
        elif isinstance(exc, HttpProcessingError):
            answer = problems.malformed()
        else:
            self.log_exception(f"status {status}", exc_info=exc)
            answer = problems.fault()
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, exc_info: Any = None, **_: Any) -> None:
        """Log kind and place of an error, without its text: the text may quote the request, and so a token."""
        place = "".join(traceback.format_tb(getattr(exc_info, "__traceback__", None)))
        self.logger.error("%s: %s\n%s", args[0] if args else "error", type(exc_info).__name__, place)

    def close_idle(self) -> None:
        """Close the connection without an answer."""
        self.idle_since = None
        self.force_close()

    def _refuse_rest(self) -> None:
        """End the body that is being received if its framing is broken: the parser reports that as a next request."""
        request = self._current_request
        if request and self._messages and isinstance(self._messages[-1][0], _ErrInfo) and not request.content.is_eof():
            request.content.set_exception(RequestPayloadError())

    def _await_head(self) -> None:
        self.idle_since = self._loop.time()
        self._head_timer = self._loop.call_later(HEAD_SECONDS, lambda: self._end(problems.slow_head()))

    def _head_came(self) -> None:
        self.idle_since = None
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end(self, answer: web.Response) -> None:
        """Send *answer*, outside of any request, and close the connection."""
        self._head_came()
        if self.transport is not None:
            self.transport.write(_raw(answer))
        self.force_close()


class Connections(web.Server):
    """The server's connections. A new one may take the place of the connection that was idle for the longest time."""

    def __call__(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def make_room(self, new: Connection) -> bool:
        """Return whether *new* may stay. An idle connection is closed if there are too many."""
        every = [known for known in cast("list[Connection]", self.connections) if known.transport is not None]
        peers = [known for known in every if known.peer == new.peer]
        return (len(peers) <= PEER_CONNECTIONS or _close_one(peers, new)) and (
            len(every) <= ALL_CONNECTIONS or _close_one(every, new)
        )


def _close_one(known: Iterable[Connection], new: Connection) -> bool:
    idle = [found for found in known if found is not new and found.idle_since is not None]
    if not idle:
        return False
    min(idle, key=lambda found: found.idle_since or 0.0).close_idle()
    return True


def _raw(answer: web.Response) -> bytes:
    """Return *answer* as the bytes of an HTTP message that ends its connection."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    answer.headers["Connection"] = "close"
    answer.headers["Content-Length"] = str(len(body))
    head = [
        f"HTTP/1.1 {answer.status} {answer.reason}",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
