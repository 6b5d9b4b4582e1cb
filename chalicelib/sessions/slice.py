"""Declares the sessions slice."""

from chalicelib import sessions
from chalicelib.core.slice import Indexes, Slice
from chalicelib.sessions.api import routes
from chalicelib.sessions.settings import LoginSettings, SessionSettings


def _indexes() -> Indexes:
    from chalicelib.sessions import store

    return {"sessions": store.INDEXES, "tickets": store.TICKET_INDEXES}


SLICE = Slice(
    name="sessions",
    routes=routes,
    settings=(SessionSettings, LoginSettings),
    indexes=_indexes,
    revoke=sessions.end,
)
