"""One call: checked when its address is given, vetted again when it is made."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse

from chalicelib.core.egress.dns import Resolver, vetted
from chalicelib.core.egress.errors import AddressRefused, HeaderRefused, TimedOut, UnknownName
from chalicelib.core.egress.sockets import Clock, DeadlineSocket, connected, translate_error
from chalicelib.core.egress.urls import Target, parse
from chalicelib.core.runtime import deadline, settings

#: What is kept of one header of an answer, as people look at it later.
_LONGEST_HEADER = 256
_KEPT = ("Content-Type", "Retry-After")
#: How the message is framed and where it goes is not the caller's to say (RFC 9110, sections 7.2 and 7.6.1).
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: What a function needs after the call to write down what came of it.
_AFTERWARDS_MS = 500
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~]+(?:[ \t]+[!-~]+)*)?")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, with `Content-Type` and `Retry-After` of its headers, written so.

    *complete* says whether *body* is all of it, within limit and deadline.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    duration_ms: int


def check(url: str, *, field: str = "url", resolve: Resolver = socket.getaddrinfo) -> None:
    """Look *url* up once and return if it may be called as things are now; `post` vets it again.

    Raises:
        AddressRefused: it may not, or its name is not known; about *field*, in words that are safe to show.
        Unreachable, TimedOut: its name could not be looked up just now.
    """
    options = settings.load(settings.EgressSettings)
    try:
        vetted(parse(url), resolve, Clock(options.connect_timeout_ms), allow_loopback=options.allow_loopback)
    except (AddressRefused, UnknownName) as error:
        raise AddressRefused(str(error), field) from None


def post(url: str, body: bytes, headers: Mapping[str, str], *, resolve: Resolver = socket.getaddrinfo) -> Reply:
    """Send *body* to *url* once and return the answer, a redirect included.

    Once the answer's head is there, there is an answer: a body that is cut off by limit, deadline or server leaves it
    incomplete. Before that, whether the server has acted on the request is unknown, except after an `Invalid`.

    Raises:
        AddressRefused: one of its addresses is not public; none was connected to.
        HeaderRefused: a header would change the framing, or is not one (RFC 9110, section 5).
        Unreachable: the name, the connection, the certificate or the protocol failed.
        TimedOut: the deadline passed, or the server was silent for too long.
    """
    options = settings.load(settings.EgressSettings)
    target = parse(url)
    clock = Clock(deadline.clamp_ms(options.total_timeout_ms, margin_ms=_AFTERWARDS_MS))
    ours = _framed(target, headers)
    addresses = vetted(target, resolve, clock, allow_loopback=options.allow_loopback)
    with connected(target, addresses, clock, options.connect_timeout_ms) as sock:
        wire = DeadlineSocket(sock, clock, options.read_timeout_ms)
        return _exchanged(wire, target, body, ours, options.max_response_bytes)


def _framed(target: Target, headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* with those that are ours to set."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value) or name.lower() in _OURS:
            raise HeaderRefused(name)
    ours = {"Host": target.authority, "Connection": "close", "Accept-Encoding": "identity"}
    agent = {} if any(name.lower() == "user-agent" for name in headers) else {"User-Agent": "Holdfast"}
    return {**ours, **agent, **headers}


def _exchanged(
    wire: DeadlineSocket, target: Target, body: bytes, headers: Mapping[str, str], limit_bytes: int
) -> Reply:
    """Send the request and read its answer."""
    connection = HTTPConnection(target.host, target.port)
    # It has its connection, and could not make one of its own: that would go by name.
    connection.sock, connection.auto_open = wire, 0
    try:
        connection.request("POST", target.path, body, headers)
        response = connection.getresponse()
    except (OSError, HTTPException) as error:
        raise translate_error(error) from error
    with response:
        received, complete = _read(response, limit_bytes)
    kept = {name: value[:_LONGEST_HEADER] for name in _KEPT if (value := response.getheader(name)) is not None}
    return Reply(response.status, kept, received, complete, wire.clock.spent_ms())


def _read(response: HTTPResponse, limit_bytes: int) -> tuple[bytes, bool]:
    """Return at most *limit_bytes* of the body, and whether that is all of it."""
    received = bytearray()
    try:
        # One byte more than is kept tells a body that just fits from one that goes on.
        while len(received) <= limit_bytes and (part := response.read1(limit_bytes + 1 - len(received))):
            received += part
    except (OSError, HTTPException, TimedOut):
        return bytes(received[:limit_bytes]), False
    # A server that hangs up early is the end of the body to `read1`, but not to Content-Length.
    return bytes(received[:limit_bytes]), len(received) <= limit_bytes and not response.length
