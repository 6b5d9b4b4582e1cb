"""Declares the sockets slice."""

from chalicelib.core.slice import Indexes, Slice
from chalicelib.sockets import worker
from chalicelib.sockets.actions import ACTIONS
from chalicelib.sockets.close import ended, revoke
from chalicelib.sockets.settings import SocketSettings


def _indexes() -> Indexes:
    from chalicelib.sockets import store

    return {"connections": store.INDEXES}


SLICE = Slice(
    name="sockets",
    actions=ACTIONS,
    settings=(SocketSettings,),
    indexes=_indexes,
    sweep=worker.sweep,
    next_due=worker.next_due,
    revoke=revoke,
    ended=ended,
)
