"""Connections in a real mongod, and a management API behind a real socket."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import sockets
from chalicelib.sockets import wiring
from chalicelib.sockets.store import ConnectionStore
from tests.support.gateway import Context
from tests.support.management import Management

Answer = dict[str, Any]
_numbers = itertools.count(1)


@pytest.fixture
def management(options: Callable[..., None]) -> Iterator[Management]:
    """The management API, and settings with its address."""
    with Management() as management:
        options(SOCKETS_MANAGEMENT_URL=management.url)
        wiring.gateway.cache_clear()
        yield management
    wiring.gateway.cache_clear()


@pytest.fixture
def connections(mongodb: Database[dict[str, Any]], dynamodb: Any) -> Iterator[ConnectionStore]:
    wiring.store.cache_clear()
    yield wiring.store()
    wiring.store.cache_clear()


def event(kind: str, connection_id: str, **more: Any) -> dict[str, Any]:
    """Return an event of the gateway."""
    told = {"eventType": kind, "connectionId": connection_id, "requestId": f"r{next(_numbers)}"}
    return {"requestContext": told, **more}


def connect(connection_id: str, token: str, **more: Any) -> Answer:
    """Open a connection with *token*; return the answer to the gateway."""
    headers = {"Sec-WebSocket-Protocol": f"holdfast, token.{token}"}
    return sockets.serve(event("CONNECT", connection_id, headers=headers, **more), Context())


def say(connection_id: str, frame: Any) -> Answer:
    """Send *frame*, as JSON unless it is a text; return the answer to the gateway."""
    body = frame if isinstance(frame, str) else json.dumps(frame)
    return sockets.serve(event("MESSAGE", connection_id, body=body), Context())
