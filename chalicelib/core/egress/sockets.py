"""Sockets that end at the call's deadline.

This module connects the sockets, and http.client speaks over the sockets. A client library's timeout would start again
with every read, so a server that sends headers one byte at a time could hold a call for any length of time.
"""

import io
import socket
import ssl
from collections.abc import Sequence
from functools import cache
from http.client import HTTPException
from time import monotonic
from typing import Any

from chalicelib.core.egress.errors import EgressError, Failure, TimedOut, Unreachable
from chalicelib.core.egress.urls import Target


class Clock:
    """The remaining time of a call."""

    def __init__(self, total_ms: int) -> None:
        self._began = monotonic()
        self._ends = self._began + total_ms / 1000

    def left_seconds(self, at_most_ms: int | None = None) -> float:
        """Return the seconds that the next step may take.

        Raises:
            TimedOut: no time is left.
        """
        left = self._ends - monotonic()
        if left <= 0:
            raise TimedOut
        return left if at_most_ms is None else min(left, at_most_ms / 1000)

    def spent_ms(self) -> int:
        """Return the milliseconds since the call began."""
        return round((monotonic() - self._began) * 1000)


@cache
def tls() -> ssl.SSLContext:
    """Return the process's TLS settings; reading the certificate authorities takes 25 ms."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def connected(target: Target, addresses: Sequence[str], clock: Clock, at_most_ms: int) -> socket.socket:
    """Return a connection to the first of *addresses* that accepts, with TLS if *target* asks for TLS.

    Raises:
        Unreachable, TimedOut: no address accepted. Nothing of the request has been sent.
    """
    failure: OSError | None = None
    for address in addresses:
        try:
            return _connect(target, address, clock, at_most_ms)
        except OSError as error:
            failure = error
    raise translate_error(failure) from failure


def _connect(target: Target, address: str, clock: Clock, at_most_ms: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Head and body are two writes; Nagle's algorithm would hold the second back for 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(clock.left_seconds(at_most_ms))
        sock.connect((address, target.port))
        if target.scheme == "http":
            return sock
        sock.settimeout(clock.left_seconds(at_most_ms))
        # The name is sent in the greeting (SNI), and the certificate must be valid for the name (RFC 9110, 4.3.4).
        return tls().wrap_socket(sock, server_hostname=target.host)
    except BaseException:
        sock.close()
        raise


#: Errors of a connection that the server closed: without TLS, and within TLS. `http.client` raises the first at the end
#: of the stream, too.
_HANG_UPS = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError)


def translate_error(failure: OSError | HTTPException | None) -> EgressError:
    """Return the error for *failure*: its text says how to correct the cause and reveals no address of a name."""
    match failure:
        case TimeoutError():
            error: EgressError = TimedOut()
        case ConnectionRefusedError():
            error = Unreachable("The server refused the connection.", Failure.REFUSED)
        case _ if isinstance(failure, _HANG_UPS):
            error = Unreachable("The server closed the connection without an answer.", Failure.RESET)
        case ssl.SSLCertVerificationError():
            error = Unreachable(f"The server's certificate is not valid: {failure.verify_message}.", Failure.TLS)
        case ssl.SSLError():
            error = Unreachable("The server does not speak TLS as we do.", Failure.TLS)
        case HTTPException():
            error = Unreachable("The server does not speak HTTP.", Failure.PROTOCOL)
        case _:
            error = Unreachable()
    return error


class _Incoming(io.RawIOBase):
    """Reads from a socket until the deadline, at any speed of the sender."""

    def __init__(self, sock: socket.socket, clock: Clock, silence_ms: int) -> None:
        self._sock, self._clock, self._silence_ms = sock, clock, silence_ms
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._clock.left_seconds(self._silence_ms))
        count = self._sock.recv_into(buffer)
        self.ended = not count
        return count


class DeadlineSocket:
    """A connected socket for http.client; no call outlasts the deadline."""

    def __init__(self, sock: socket.socket, clock: Clock, silence_ms: int) -> None:
        self._sock, self.clock = sock, clock
        self._incoming = _Incoming(sock, clock, silence_ms)

    @property
    def ended(self) -> bool:
        """Whether a read found the end of the server's bytes."""
        return self._incoming.ended

    def sendall(self, data: bytes) -> None:
        """Send all of *data*. Since Python 3.5 a socket's timeout bounds the whole call, with TLS and without."""
        self._sock.settimeout(self.clock.left_seconds())
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the stream of the response."""
        del mode
        return io.BufferedReader(self._incoming)

    def close(self) -> None:
        """Leave the socket open: `post`, which connected the socket, closes the socket after reading the response."""
