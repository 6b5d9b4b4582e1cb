"""A client of WebSockets for tests that are not asynchronous."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import aiohttp

Found = TypeVar("Found")
Event = dict[str, Any]

#: As for calls of the API: functions start slowly on a machine under load.
DEADLINE_SECONDS = 60.0


class Refused(Exception):
    """The server refuses the connection. *status* is the status of its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Socket:
    """An open connection."""

    def __init__(self, session: aiohttp.ClientSession, socket: "aiohttp.ClientWebSocketResponse[bool]") -> None:
        self._session, self._socket = session, socket
        #: The subprotocol that the server chose.
        self.protocol = socket.protocol

    def send(self, frame: Any) -> None:
        """Send *frame* as JSON."""
        self.send_text(json.dumps(frame))

    def send_text(self, text: str) -> None:
        """Send *text* as a frame."""
        run(self._socket.send_str(text))

    def send_bytes(self, data: bytes) -> None:
        """Send *data* as a binary frame."""
        run(self._socket.send_bytes(data))

    def receive(self, seconds: float = DEADLINE_SECONDS) -> Event:
        """Return the next event; fail if none comes, or if the server closes the connection."""
        message = run(self._socket.receive(seconds))
        assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type!r} {message.data!r}"
        event: Event = json.loads(message.data)
        return event

    def ask(self, frame: Any) -> Event:
        """Send *frame* and return the next event."""
        self.send(frame)
        return self.receive()

    def until(self, wanted: str) -> Event:
        """Return the next event named *wanted*; other events before it are dropped."""
        while (event := self.receive())["event"] != wanted:
            pass
        return event

    def closed(self, seconds: float = DEADLINE_SECONDS) -> int | None:
        """Wait until the server closes the connection, and return its code. Events before that are dropped."""
        while run(self._socket.receive(seconds)).type not in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}:
            pass
        return self._socket.close_code

    def close(self) -> None:
        """Close the connection."""
        run(self._close())

    async def _close(self) -> None:
        await self._socket.close()
        await self._session.close()


@contextmanager
def connected(url: str, *protocols: str) -> Iterator[Socket]:
    """Open a connection that offers *protocols*.

    Raises:
        Refused: the server answers with another status than 101.
    """
    socket = connect(url, *protocols)
    try:
        yield socket
    finally:
        socket.close()


def connect(url: str, *protocols: str) -> Socket:
    """Return a new connection, as `connected` does; the caller closes it."""
    return run(_connect(url, protocols))


def url_of(api_url: str) -> str:
    """Return the address of WebSockets of the stack at *api_url*."""
    return api_url.replace("http", "ws", 1) + "/ws"


async def _connect(url: str, protocols: tuple[str, ...]) -> Socket:
    session = aiohttp.ClientSession()
    try:
        return Socket(session, await session.ws_connect(url, protocols=protocols, max_msg_size=0))
    except aiohttp.WSServerHandshakeError as error:
        await session.close()
        raise Refused(error.status) from error


def run(work: Coroutine[Any, Any, Found]) -> Found:
    """Return the result of *work*, done in the loop of a thread that all connections share."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(2 * DEADLINE_SECONDS)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    serve: Callable[[], None] = loop.run_forever
    threading.Thread(target=serve, name="sockets", daemon=True).start()
    return loop
