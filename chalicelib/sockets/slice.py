"""Declares the sockets slice."""

from chalicelib.core.slice import Indexes, Slice
from chalicelib.sockets.close import ended, revoke
from chalicelib.sockets.settings import SocketSettings


def _indexes() -> Indexes:
    from chalicelib.sockets import store

    return {"connections": store.INDEXES}


SLICE = Slice(name="sockets", settings=(SocketSettings,), indexes=_indexes, revoke=revoke, ended=ended)
