"""The short, stable URL: a plain HTTP server in front of the deployed API.

The server bounds connections (connections.py), refuses requests that no gateway takes (targets.py), bounds concurrent
requests (admission.py), forwards requests and answers unchanged (forward.py), joins WebSocket connections to those of
the emulator (bridge.py), and answers with problem documents where
the emulator's gateway cannot (problems.py). The server decides nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from infra.host import ports
from infra.local.proxy import bridge, connections, problems
from infra.local.proxy.admission import Admission, Crowded, Routes
from infra.local.proxy.connections import Connections
from infra.local.proxy.forward import BodyMalformed, BodyTooLarge, BodyTooSlow, forward, received, session
from infra.local.proxy.targets import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ADMITTED = 8
QUEUE_SECONDS = 10.0
BACKLOG = 1024
#: Statuses without an answer of the API: its process died, or did not answer in time.
_LOST = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


class Front:
    """The server, in a thread of its own. The upstream may change while the server runs.

    *on_fault* is called with the emulator's original error text when a caller gets a problem document instead.

    The constructor takes the port, and requests are answered from ``start`` on, so a taken port shows before any
    process starts.
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        admitted: int = ADMITTED,
        queue_seconds: float = QUEUE_SECONDS,
        on_fault: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self._socket = ports.bound(port or 0)
        # Only a listening socket reserves its port. Early callers connect, and are answered after the start.
        self._socket.listen(BACKLOG)
        self.port = int(self._socket.getsockname()[1])
        #: Set whenever a request was answered; cleared by the reader.
        self.stirred = threading.Event()
        self._admitted = admitted
        self._queue_seconds = queue_seconds
        self._on_fault = on_fault
        self._upstream = ""
        self._sockets = ""
        self._waiting = Routes()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="front", daemon=True)
        self._started: Future[None] = Future()

    @property
    def url(self) -> str:
        """The URL for callers, without a trailing slash."""
        return f"http://{ports.HOST}:{self.port}"

    def point(self, upstream: str, waiting: Iterable[tuple[str, str]], sockets: str = "") -> None:
        """Forward to *upstream* from the next request on. Requests to *waiting* routes may hold their callers.

        WebSocket connections go to the gateway's URL *sockets*.
        """
        self._sockets = sockets
        self._upstream, self._waiting = upstream.rstrip("/"), Routes(waiting)

    def start(self) -> None:
        """Return when callers can connect."""
        self._thread.start()
        self._started.result()

    def stop(self) -> None:
        """Close the port; requests in flight are cut off after half a second. Safe to repeat."""
        loop, self._loop = self._loop, None
        if loop:
            loop.call_soon_threadsafe(self._stop_requested.set)
            self._thread.join()
        self._socket.close()

    async def _serve(self) -> None:
        self._stop_requested = asyncio.Event()
        self._admission = Admission(self._admitted, self._queue_seconds)
        async with session() as self._connections:
            # If a caller hangs up, the request to the API is cancelled too.
            server = Connections(
                self._serve_one,
                handler_cancellation=True,
                keepalive_timeout=connections.IDLE_SECONDS,
                max_line_size=connections.LONGEST_LINE,
                max_field_size=connections.LONGEST_FIELD,
                # No body is unpacked: `targets` refuses encoded bodies.
                auto_decompress=False,
            )
            runner = web.ServerRunner(server, shutdown_timeout=0.5)
            await runner.setup()
            await web.SockSite(runner, self._socket, backlog=BACKLOG).start()
            self._loop = asyncio.get_running_loop()
            self._started.set_result(None)
            await self._stop_requested.wait()
            await runner.cleanup()

    async def _serve_one(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._sockets and bridge.wanted(request):
            return await bridge.joined(request, self._sockets, self._connections)
        return await self._answer(request)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        try:
            if (refusal := refused(request)) is not None:
                return refusal
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # The body is read first: a caller who sends it slowly must not take a place.
            body = await received(request)
            async with self._admission.place(may_wait=self._waiting.match(request.method, request.path)):
                answer = await forward(request, body, self._upstream, self._connections, self._on_fault)
                if answer.status in _LOST:
                    await self._admission.lost()
                else:
                    self._admission.answered(answer.headers.get("X-Instance-Id", ""))
                return answer
        except BodyTooSlow:
            return problems.too_slow()
        except BodyTooLarge:
            return problems.too_large()
        except BodyMalformed:
            return problems.malformed()
        except Crowded:
            return problems.crowded()
        finally:
            self.stirred.set()
