"""Forwards a request to the deployed API and returns the answer, both unchanged.

One header is the proxy's own: X-Forwarded-For names the caller's address, whatever the caller sent.
"""

from __future__ import annotations

import asyncio
import io
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
    hdrs,
    web,
)
from aiohttp.web_protocol import RequestPayloadError
from multidict import CIMultiDict
from yarl import URL

from infra.local.proxy import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Headers that describe a connection, not the message (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade", "expect",
})  # fmt: skip
#: The time for a body, and its size. A gateway refuses bodies over 10 MB in its own words.
BODY_SECONDS, LARGEST_BODY_BYTES = 30.0, 32 * 1024 * 1024
#: The time for an answer, counted from the forwarding: that of AWS's gateway, and a second for a busy machine.
ANSWER_SECONDS = 30.0
#: Headers that the client library would add if the caller sent none.
UNASKED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


def session() -> ClientSession:
    """Return a client session for the API: kept alive, unlimited, without cookies, decompression or added headers."""
    return ClientSession(
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=UNASKED,
        timeout=ClientTimeout(total=ANSWER_SECONDS, sock_connect=5),
    )


class BodyTooSlow(Exception):
    """A body did not come in time."""


class BodyTooLarge(Exception):
    """A body is larger than any gateway takes."""


class BodyMalformed(Exception):
    """A body breaks its own framing, such as a chunk whose size is no number."""


async def received(request: web.BaseRequest) -> bytes | None:
    """Return the whole body of *request*, or None if it has none.

    Raises:
        BodyTooSlow, BodyTooLarge, BodyMalformed: see there.
    """
    if not request.can_read_body:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > LARGEST_BODY_BYTES:
                    raise BodyTooLarge
    except TimeoutError:
        raise BodyTooSlow from None
    except RequestPayloadError:
        raise BodyMalformed from None
    return bytes(body)


async def forward(
    request: web.BaseRequest,
    body: bytes | None,
    upstream: str,
    connections: ClientSession,
    on_fault: Callable[[str], None],
) -> web.Response:
    """Forward *request* with its *body* to *upstream* and return the answer, or a problem document if no answer came.

    If an emulator's error is translated for the caller, *on_fault* is called with the original text, because often no
    log has the text.
    """
    try:
        async with connections.request(
            request.method,
            # The raw path: decoding and encoding again could change signed or escaped parts.
            URL(upstream + request.raw_path, encoded=True),
            # Lower case: the library drops a repeated header whose case differs.
            headers=CIMultiDict((name.lower(), value) for name, value in _forwarded(request).items()),
            data=None if body is None else io.BytesIO(body),
            allow_redirects=False,
        ) as answer:
            answered = await answer.read()
    except (ClientConnectorError, ConnectionTimeoutError):
        return problems.unreachable()
    except TimeoutError:
        return problems.late()
    except ClientError:
        return problems.broken()
    if translated := problems.translated(answer.status, answer.content_type, answered):
        on_fault(f"{request.method} {request.path}: {answer.status} {answered.decode(errors='replace')}")
        return translated
    return returned(request.method, answer.status, answer.reason, answer.headers, answered)


def returned(method: str, status: int, reason: str | None, headers: Mapping[str, str], body: bytes) -> web.Response:
    """Return the API's answer to the caller, without the headers that describe the connection."""
    kept = end_to_end(headers)
    if method != hdrs.METH_HEAD and status != HTTPStatus.NOT_MODIFIED:
        # An answer to HEAD, or a 304, keeps the header: the length of a body that is not sent.
        kept.popall(hdrs.CONTENT_LENGTH, None)
    return web.Response(status=status, reason=reason, headers=kept, body=body)


def _forwarded(request: web.BaseRequest) -> CIMultiDict[str]:
    headers = end_to_end(request.headers)
    headers.popall(hdrs.X_FORWARDED_FOR, None)
    if request.remote:
        headers[hdrs.X_FORWARDED_FOR] = request.remote
    return headers


def end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return *headers*, including repeated headers, without the headers that describe the connection."""
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    dropped = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)
