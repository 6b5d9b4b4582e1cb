"""Makes the stores of sessions and tickets, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.sessions.settings import SessionSettings

if TYPE_CHECKING:
    from chalicelib.sessions.store import SessionStore, TicketStore


@once
def store() -> SessionStore:
    """Return the store of sessions."""
    from chalicelib.sessions.store import SessionStore

    return SessionStore(clients.mongodb().sessions, settings.load(SessionSettings), _key)


@once
def tickets() -> TicketStore:
    """Return the store of tickets."""
    from chalicelib.sessions.store import TicketStore

    return TicketStore(clients.mongodb().tickets, _key)


def _key() -> bytes:
    return clients.signing_key("sessions")
