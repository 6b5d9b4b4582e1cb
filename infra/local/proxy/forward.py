"""One request to the deployed API and its answer back, both unchanged."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    hdrs,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from infra.local.proxy import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: They describe one connection, not the message (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade", "expect",
})  # fmt: skip
#: The client library would add these where the caller sent none.
UNASKED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


def session() -> ClientSession:
    """Return connections to the API: kept alive, unlimited, without memory or opinions of their own."""
    return ClientSession(
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=UNASKED,
        # How long an answer may take is the API's decision.
        timeout=ClientTimeout(total=None, sock_connect=5),
    )


async def forward(
    request: web.BaseRequest, upstream: str, connections: ClientSession, on_fault: Callable[[str], None]
) -> web.Response:
    """Send *request* on to *upstream* and return the answer, or a problem where there is none.

    *on_fault* is called with the words that a translation keeps from the caller; often no log has them.
    """
    try:
        async with connections.request(
            request.method,
            # The path as it came: decoding and encoding it again would change what was signed or escaped.
            URL(upstream + request.raw_path, encoded=True),
            # Written in one case: the library forgets a repeated header whose case differs.
            headers=CIMultiDict((name.lower(), value) for name, value in end_to_end(request.headers).items()),
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
    except ClientConnectorError:
        return problems.unreachable()
    except ClientError:
        return problems.broken()
    if translated := problems.translated(answer.status, answer.content_type, body):
        on_fault(f"{request.method} {request.path}: {answer.status} {body.decode(errors='replace')}")
        return translated
    return returned(request.method, answer.status, answer.reason, answer.headers, body)


def returned(method: str, status: int, reason: str | None, headers: Mapping[str, str], body: bytes) -> web.Response:
    """Return the answer as it was given."""
    kept = end_to_end(headers)
    if method != hdrs.METH_HEAD and status != HTTPStatus.NOT_MODIFIED:
        # Elsewhere it is the length of a body that is not sent.
        kept.popall(hdrs.CONTENT_LENGTH, None)
    return web.Response(status=status, reason=reason, headers=kept, body=body)


def end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return *headers*, repeated ones too, without those that describe the connection they came by."""
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    dropped = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)
