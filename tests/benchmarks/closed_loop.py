"""A closed-loop load: each caller sends the next request once the answer before is whole.

Raw sockets in one thread, because a client library would take more of the machine than the server. The answers are
counted by status and not parsed.
"""

import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
#: A silence of this length ends the run with an error.
_PATIENCE_SECONDS = 30.0


class Answers(NamedTuple):
    """The number of answers of each status, and the time that all took."""

    statuses: Counter[int]
    seconds: float

    @property
    def per_second(self) -> float:
        """Answers of every status in a second."""
        return self.statuses.total() / self.seconds


class _Caller:
    """A connection, and the requests still to be sent."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
        self._requests, self._read = requests, b""

    def send(self) -> bool:
        """Send the next request; return whether there was one."""
        request = next(self._requests, None)
        if request is not None:
            self.socket.sendall(request)
        return request is not None

    def receive(self) -> int | None:
        """Read once; return the status if the answer is whole now, else None.

        Raises:
            ConnectionError: the server closed the connection.
        """
        if not (part := self.socket.recv(1 << 18)):
            raise ConnectionError("the server closed a connection")
        self._read += part
        head, end, body = self._read.partition(_HEAD_END)
        if not end or len(body) < int((_LENGTH.search(head) or [b"", b"0"])[1]):
            return None
        self._read = b""
        return int(head[9:12])


def request(path: str, token: str | None = None) -> bytes:
    """Return a GET request as bytes."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{authorization}Accept: */*\r\n\r\n".encode()


def drive(port: int, requests: Sequence[Iterator[bytes]], seconds: float | None = None) -> Answers:
    """Send the *requests* of each caller over a connection of its own; with *seconds*, begin none after that time.

    Raises:
        ConnectionError, TimeoutError: the server closed a connection, or was silent.
    """
    callers, statuses = [_Caller(port, own) for own in requests], Counter[int]()
    began = time.perf_counter()
    until = began + seconds if seconds is not None else float("inf")
    with selectors.DefaultSelector() as ready:
        for caller in callers:
            if caller.send():
                ready.register(caller.socket, selectors.EVENT_READ, caller)
        while ready.get_map():
            if not (events := ready.select(_PATIENCE_SECONDS)):
                raise TimeoutError("the server was silent")
            for key, _ in events:
                if (status := key.data.receive()) is None:
                    continue
                statuses[status] += 1
                if time.perf_counter() >= until or not key.data.send():
                    ready.unregister(key.fileobj)
    taken = time.perf_counter() - began
    for caller in callers:
        caller.socket.close()
    return Answers(statuses, taken)
