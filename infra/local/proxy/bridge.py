"""Joins a WebSocket connection at the proxy to one at the emulator's gateway, with the rules of AWS's gateway.

The emulator drops the subprotocol that the API answers, passes binary frames on as text, and bounds no message. The
proxy answers the subprotocol, and closes connections that send binary frames, broken texts or too large messages.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import (
    ClientError,
    ClientSession,
    ClientWSTimeout,
    WSCloseCode,
    WSMsgType,
    WSServerHandshakeError,
    hdrs,
    web,
)
from aiohttp.log import ws_logger

from infra.local.proxy import problems

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

PATH = "/ws"
#: The subprotocol that the API answers to a client that offers it.
PROTOCOL = "holdfast"
#: The largest message that AWS's gateway takes.
LARGEST_BYTES = 128 * 1024
#: Codes that say how a connection ended, and that no frame may carry (RFC 6455, section 7.4.1).
_NEVER_SENT = frozenset({1005, 1006, 1015})
_CLOSE = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})

# The library logs the subprotocols of a client that offers none of ours, and a token is among them.
ws_logger.setLevel(logging.CRITICAL)


def wanted(request: web.BaseRequest) -> bool:
    """Return whether *request* asks for a WebSocket connection."""
    upgrade = request.headers.get(hdrs.UPGRADE, "").strip().lower()
    return (request.method, request.path, upgrade) == (hdrs.METH_GET, PATH, "websocket")


async def joined(request: web.BaseRequest, upstream: str, connections: ClientSession) -> web.StreamResponse:
    """Serve *request* until one side closes, or return a problem if the gateway refuses the connection."""
    here = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=LARGEST_BYTES, compress=False)
    if not here.can_prepare(request):
        return problems.malformed()
    try:
        there = await _connected(request, upstream, connections)
    except WSServerHandshakeError as refused:
        return problems.refused(refused.status)
    except TimeoutError:
        return problems.late()
    except ClientError:
        return problems.unreachable()
    try:
        await here.prepare(request)
        await _pump(here, there)
    finally:
        await there.close()
    return here


async def _connected(
    request: web.BaseRequest, upstream: str, connections: ClientSession
) -> ClientWebSocketResponse[bool]:
    offered = ", ".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    headers = {name: request.headers[name] for name in (hdrs.ORIGIN, hdrs.USER_AGENT) if name in request.headers}
    return await connections.ws_connect(
        f"{upstream}?{request.query_string}" if request.query_string else upstream,
        # Not as an argument: the library would warn of each answer without a subprotocol.
        headers={**headers, **({hdrs.SEC_WEBSOCKET_PROTOCOL: offered} if offered else {})},
        timeout=ClientWSTimeout(ws_close=2),
        max_msg_size=0,
    )


async def _pump(here: web.WebSocketResponse, there: ClientWebSocketResponse[bool]) -> None:
    """Pass frames in both directions until one side closes, and then close the other."""
    up, down = asyncio.create_task(_up(here, there)), asyncio.create_task(_down(here, there))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
    if not here.closed:
        code = there.close_code
        await here.close(code=code if code and code not in _NEVER_SENT else WSCloseCode.GOING_AWAY)


async def _up(here: web.WebSocketResponse, there: ClientWebSocketResponse[bool]) -> None:
    while (message := await here.receive()).type not in _CLOSE:
        if message.type is WSMsgType.TEXT:
            await there.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await here.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"binary frames are not supported")
            return


async def _down(here: web.WebSocketResponse, there: ClientWebSocketResponse[bool]) -> None:
    while (message := await there.receive()).type not in _CLOSE:
        if message.type is WSMsgType.TEXT:
            await here.send_str(message.data)
