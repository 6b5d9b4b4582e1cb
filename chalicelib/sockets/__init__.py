"""Sockets: WebSocket connections of people and services, on any instance, and pushes to them.

models.py    connections as stored, and limits (no I/O)
errors.py    errors shown to callers
settings.py  options
store.py     connections in one MongoDB collection
gateway.py   the management API of the gateway: sends to a connection, and closes it
entrance.py  serves the events of the gateway
connect.py   admits a connection
receive.py   handles a frame
actions.py   the actions `ping` and `subscribe`
delivery.py  sends events, to an account or in answer to a frame
close.py     closes connections whose session ended or whose user changed
worker.py    the sweep: announces reconnects, pings, closes
wiring.py    makes the store and the gateway, once per process
slice.py     the declaration of the slice

`app.py` calls `serve`. Other slices call `push`, `tell`, `followers`, `followed`, `join` and `public_url`, declare
actions and topics (`core.web.frames`), and import nothing else from here.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.web.frames import Connection, Event
from chalicelib.sockets import wiring

__all__ = ["followed", "followers", "join", "public_url", "push", "serve", "tell"]


def push(account_id: str, event: Event) -> int:
    """Send *event* to every open connection of the account that has joined or subscribed; return how many took it.

    From any function; never raises. A connection whose session has ended gets nothing. A connection that is gone is
    forgotten. An event over 120 KB, or an outage of a store or the gateway, reaches nobody and is logged. Delivery is
    at most once: a caller that must be sure keeps the state elsewhere, and clients ask for it when they connect.
    """
    from chalicelib.sockets import delivery  # noqa: PLC0415 # few functions push

    return delivery.push(account_id, event)


def tell(topic: str, event: Event) -> int:
    """Send *event* to every open connection that follows *topic*, as `push` does; return how many took it."""
    from chalicelib.sockets import delivery  # noqa: PLC0415 # few functions push

    return delivery.tell(topic, event)


def followers(topic: str) -> int:
    """Return how many open connections follow *topic*; 0 without a gateway of WebSockets.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    return wiring.store().followers(topic) if wiring.reachable() else 0


def followed(prefix: str) -> list[str]:
    """Return the topics that begin with *prefix* and that open connections follow.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    return wiring.store().followed(prefix) if wiring.reachable() else []


def join(connection: Connection) -> None:
    """Let pushes reach *connection* from now on. Safe to repeat.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    wiring.store().open(connection.connection_id, ())


def serve(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one event of the gateway: a connection begins, sends a frame, or ends. Never raises."""
    from chalicelib.sockets import entrance  # noqa: PLC0415 # three functions alone serve connections

    return entrance.serve(event, context)


def public_url() -> str | None:
    """Return the address at which clients open connections, or None if the deployment has no WebSocket API."""
    return wiring.public_url()
