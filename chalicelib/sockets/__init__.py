"""Sockets: WebSocket connections of people and services, on any instance, and pushes to them.

models.py    connections as stored, the frames of this slice and their events (no I/O)
errors.py    errors shown to callers
settings.py  options
store.py     connections in one MongoDB collection
gateway.py   the management API of the gateway: sends to a connection, and closes it
push.py      sends an event to the open connections of an account
close.py     closes connections whose session ended or whose user changed
wiring.py    makes the store and the gateway, once per process
slice.py     the declaration of the slice

Other slices call `push` and `join`, declare actions and topics (`core.web.frames`), and import nothing else from here.
"""

from chalicelib.core.web.frames import Connection, Event
from chalicelib.sockets import wiring

__all__ = ["join", "push"]


def push(account_id: str, event: Event) -> int:
    """Send *event* to every open connection of the account that has joined or subscribed; return how many took it.

    From any function; never raises. A connection whose session has ended gets nothing. A connection that is gone is
    forgotten. An event over 30 KB, or an outage of a store or the gateway, reaches nobody and is logged. Delivery is at
    most once: a caller that must be sure keeps the state elsewhere, and clients ask for the state when they connect.
    """
    from chalicelib.sockets import push as pushing  # noqa: PLC0415 # few functions push

    return pushing.push(account_id, event)


def join(connection: Connection) -> None:
    """Let pushes reach *connection* from now on. Safe to repeat.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    wiring.store().open(connection.connection_id, ())
