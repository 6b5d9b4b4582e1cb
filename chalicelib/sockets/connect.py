"""Admits a connection: by a token in the list of subprotocols, or by a ticket in the address."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib import sessions
from chalicelib.core import errors
from chalicelib.core.runtime import logs
from chalicelib.core.web.roles import Caller
from chalicelib.sockets import wiring
from chalicelib.sockets.errors import TooManyConnections

#: A client offers this subprotocol, and the answer names it. A browser refuses an answer without one that it offered.
PROTOCOL = "holdfast"
#: The path for which a ticket may be issued.
PATH = "/ws"

_HEADER = "Sec-WebSocket-Protocol"
_TOKEN = "token."  # noqa: S105 # the beginning of a subprotocol that holds a token
_TICKET = "ticket"


def connect(event: Mapping[str, Any]) -> dict[str, Any]:
    """Admit the connection of *event*, or refuse it with a problem. Nothing is pushed before it joins or subscribes."""
    told = event["requestContext"]
    offered = _offered(event)
    try:
        caller = _caller(event, offered)
        logs.line().add(user=caller.username)
        if not wiring.store().add(told["connectionId"], caller):
            raise TooManyConnections(retry_after_seconds=60)
    except errors.ServiceError as error:
        logs.line().add(status=int(error.status))
        body = json.dumps(error.problem(told["requestId"]))
        return {"statusCode": int(error.status), "headers": dict(error.headers()), "body": body}
    # API Gateway passes the answer's header on, so the function itself chooses the subprotocol.
    return {"statusCode": 200, "headers": {_HEADER: PROTOCOL} if PROTOCOL in offered else {}}


def _caller(event: Mapping[str, Any], offered: list[str]) -> Caller:
    """Return the caller of the token or the ticket. A token takes precedence.

    Raises:
        Unauthenticated: there is neither, or the given one is not valid.
    """
    tokens = [name.removeprefix(_TOKEN) for name in offered if name.startswith(_TOKEN)]
    if tokens:
        return sessions.identify(tokens[0])
    ticket = (event.get("queryStringParameters") or {}).get(_TICKET)
    if not ticket:
        raise errors.Unauthenticated
    return sessions.redeem(ticket, PATH)


def _offered(event: Mapping[str, Any]) -> list[str]:
    """Return the subprotocols that the client offers, in their order."""
    found = [value for name, value in (event.get("headers") or {}).items() if name.lower() == _HEADER.lower()]
    return [name.strip() for value in found for name in value.split(",") if name.strip()]
