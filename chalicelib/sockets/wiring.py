"""Makes the store of connections and the client of the gateway, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.sockets.settings import SocketSettings

if TYPE_CHECKING:
    from chalicelib.sockets.gateway import Gateway
    from chalicelib.sockets.store import ConnectionStore


@once
def store() -> ConnectionStore:
    """Return the store of connections."""
    from chalicelib.sockets.store import ConnectionStore

    return ConnectionStore(clients.mongodb().connections, settings.load(SocketSettings))


def reachable() -> bool:
    """Return whether this deployment names a gateway of WebSockets."""
    return settings.load(SocketSettings).management_url is not None


def public_url() -> str | None:
    """Return the address of WebSockets for clients, or None."""
    return settings.load(SocketSettings).public_url


@once
def gateway() -> Gateway:
    """Return the client of the gateway."""
    from chalicelib.sockets.gateway import Gateway

    return Gateway(clients.aws("apigatewaymanagementapi", settings.load(SocketSettings).management_url))
