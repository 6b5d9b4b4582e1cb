"""Misbehaving servers on this machine, and a resolver with planned answers."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Any, Self

import trustme

from chalicelib.core import egress

#: Answers a request, given the connection and the received bytes.
Behaviour = Callable[[socket.socket, bytes], None]


def answer(text: str, body: bytes = b"") -> Behaviour:
    """Return a behaviour that answers with *text* as status and header lines, and with *body* and its length."""
    head = "\r\n".join([*text.splitlines(), f"Content-Length: {len(body)}", "", ""])
    return send_bytes(head.encode() + body)


def send_bytes(everything: bytes) -> Behaviour:
    """Return a behaviour that sends *everything* and hangs up."""

    def speak(connection: socket.socket, request: bytes) -> None:
        connection.sendall(everything)

    return speak


#: A plain answer 200.
OK = answer("HTTP/1.1 200 OK", b"fine")


class Peer:
    """A server on *host*, on *port* or a free port; records each request and each TLS server name."""

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        reads: bool = True,
    ) -> None:
        self._behaviour, self._tls, self._reads = behaviour, tls, reads
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        if tls:
            tls.sni_callback = lambda _, name, __: self.names.append(name)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                # Closing alone would not wake a thread that waits for the socket.
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        # Some tests hang up on purpose.
        with contextlib.suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            request = _read(connection) if self._reads else b""
            self.requests.append(request)
            with connection:
                self._behaviour(connection, request)


def _read(connection: socket.socket) -> bytes:
    """Read a request with its body."""
    request = b""
    while b"\r\n\r\n" not in request and (part := connection.recv(65_536)):
        request += part
    head, _, body = request.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length and (part := connection.recv(65_536)):
        body += part
    return head + b"\r\n\r\n" + body


class Resolver:
    """A resolver. Each name gives its answers in turn, then repeats the last; the system resolves other names."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._answers = answers
        self.lookups: list[str] = []

    def __call__(self, host: str, port: int, **more: Any) -> list[tuple[Any, ...]]:
        self.lookups.append(host)
        if host not in self._answers:
            return list(socket.getaddrinfo(host, port, **more))
        turns = self._answers[host]
        return [_entry(address, port) for address in turns[min(self.lookups.count(host), len(turns)) - 1]]


def _entry(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


#: Makes a `Peer`.
Serve = Callable[..., Peer]


def peer_factory(tls: ssl.SSLContext | None) -> Serve:
    """Return a factory of peers with *tls*, or without TLS for None."""
    return partial(Peer, tls=tls)


def tls_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return the TLS context of a server with a certificate of *names*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def post(url: str, body: bytes = b"{}", *, resolve: Any = socket.getaddrinfo, **headers: str) -> egress.Reply:
    return egress.post(url, body, {"Content-Type": "application/json"} | headers, resolve=resolve)


@contextlib.contextmanager
def lasting(seconds: float) -> Iterator[None]:
    """Fail unless the block takes *seconds*, or up to 2.5 s longer on a busy machine."""
    began = monotonic()
    yield
    assert seconds * 0.95 <= monotonic() - began < seconds + 2.5
