"""The egress client: `check` vets a URL when a user enters the URL; `post` vets again at the time of the call."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse

from chalicelib.core.egress.dns import Resolver, vetted
from chalicelib.core.egress.errors import AddressRefused, EgressError, HeaderRefused, TimedOut, UnknownName
from chalicelib.core.egress.sockets import Clock, DeadlineSocket, connected, translate_error
from chalicelib.core.egress.urls import Target, parse
from chalicelib.core.runtime import deadline, settings

#: The kept length of a response's body. The rest is read up to `EGRESS_MAX_RESPONSE_BYTES` and dropped: most servers
#: then see a clean end of the connection.
KEPT_BODY_BYTES = 1024
#: The kept length of a response header, in characters; operators read the headers later.
_LONGEST_HEADER = 256
_KEPT_HEADERS = ("Content-Type", "Date", "Retry-After")
#: Headers that define framing and routing; callers must not set these (RFC 9110, sections 7.2 and 7.6.1).
_RESERVED_HEADERS = frozenset(
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
#: Responses before the final response. 101 is final, and never asked for.
_INTERIM = frozenset(range(100, 200)) - {HTTPStatus.SWITCHING_PROTOCOLS}
#: The time that a function needs after the call to store the outcome.
_MARGIN_MS = 500
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~]+(?:[ \t]+[!-~]+)*)?")


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's response. *headers* holds `Content-Type`, `Date` and `Retry-After`, in exactly this spelling.

    *body* holds the first `KEPT_BODY_BYTES` of the body; *complete* says whether *body* is the whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    duration_ms: int


def check(url: str, *, field: str = "url", resolve: Resolver = socket.getaddrinfo) -> None:
    """Look *url* up once and return if calls to *url* are allowed at present; `post` vets *url* again.

    Raises:
        AddressRefused: calls are not allowed, or the name does not exist. The error names *field* and is safe to show.
        Unreachable, TimedOut: the name could not be looked up just now.
    """
    options = settings.load(settings.EgressSettings)
    try:
        vetted(parse(url), resolve, Clock(options.connect_timeout_ms), options)
    except (AddressRefused, UnknownName) as error:
        raise AddressRefused(str(error), field) from None


def post(url: str, body: bytes, headers: Mapping[str, str], *, resolve: Resolver = socket.getaddrinfo) -> Reply:
    """Send *body* to *url* once and return the response, also if the response is a redirect.

    After the response's head has arrived, a reply is always returned: a body that limit, deadline or server cuts off
    makes the reply incomplete. An error before leaves open whether the server has acted, except for an `Invalid`.

    Raises:
        AddressRefused: an address of the name is not public; no connection was made.
        HeaderRefused: a header would change the framing, or is malformed (RFC 9110, section 5).
        Unreachable: the name, the connection, the certificate or the protocol failed.
        TimedOut: the deadline passed, or the server was silent for too long.

    Each of these is an `EgressError` with *failure*, a stable word for display, and *duration_ms*.
    """
    options = settings.load(settings.EgressSettings)
    clock = Clock(deadline.clamp_ms(options.total_timeout_ms, margin_ms=_MARGIN_MS))
    try:
        target = parse(url)
        framing = _with_framing(target, headers)
        addresses = vetted(target, resolve, clock, options)
        with connected(target, addresses, clock, options.connect_timeout_ms) as sock:
            wire = DeadlineSocket(sock, clock, options.read_timeout_ms)
            return _exchange(wire, target, body, framing, options.max_response_bytes)
    except EgressError as error:
        error.duration_ms = clock.spent_ms()
        raise


def _with_framing(target: Target, headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* with the headers of framing and routing added.

    Raises:
        HeaderRefused: a header is reserved or malformed.
    """
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value) or name.lower() in _RESERVED_HEADERS:
            raise HeaderRefused(name)
    framing = {"Host": target.authority, "Connection": "close", "Accept-Encoding": "identity"}
    agent = {} if any(name.lower() == "user-agent" for name in headers) else {"User-Agent": "Holdfast"}
    return {**framing, **agent, **headers}


def _exchange(wire: DeadlineSocket, target: Target, body: bytes, headers: Mapping[str, str], limit_bytes: int) -> Reply:
    """Send the request and read the response."""
    connection = HTTPConnection(target.host, target.port)
    # The socket is connected to a vetted address. http.client must not reconnect, as a reconnect would use the name.
    connection.sock, connection.auto_open = wire, 0
    try:
        connection.request("POST", target.path, body, headers)
        response = _final(connection, wire)
    except (OSError, HTTPException) as error:
        raise translate_error(error) from error
    with response:
        received, complete = _read(response, limit_bytes)
    kept = {name: value[:_LONGEST_HEADER] for name in _KEPT_HEADERS if (value := response.getheader(name)) is not None}
    return Reply(response.status, kept, received, complete, wire.clock.spent_ms())


def _final(connection: HTTPConnection, wire: DeadlineSocket) -> HTTPResponse:
    """Return the final response, with its headers read.

    Raises:
        ConnectionResetError: the bytes ended within the headers.
        OSError, HTTPException, TimedOut: as `http.client`.
    """
    response = connection.getresponse()
    # http.client skips 100 alone; other interim responses, such as 103, precede the final one, too (RFC 9110, 15.2).
    while response.status in _INTERIM:
        response.headers = None  # type: ignore[assignment]
        response.begin()
    if wire.ended:
        # http.client takes the end of the bytes for the end of the headers.
        raise ConnectionResetError
    return response


def _read(response: HTTPResponse, limit_bytes: int) -> tuple[bytes, bool]:
    """Read at most *limit_bytes* of the body. Return the kept part, and whether the kept part is the whole body."""
    received, kept_bytes = bytearray(), min(limit_bytes, KEPT_BODY_BYTES)
    try:
        # One byte beyond the limit distinguishes a body that just fits from a longer body.
        while len(received) <= limit_bytes and (part := response.read1(limit_bytes + 1 - len(received))):
            received += part
    except (OSError, HTTPException, TimedOut):
        return bytes(received[:kept_bytes]), False
    # `read1` takes an early hang-up for the end of the body; Content-Length tells the difference.
    return bytes(received[:kept_bytes]), len(received) <= kept_bytes and not response.length
