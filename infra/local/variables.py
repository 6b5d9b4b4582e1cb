"""The environment variables that a local stack gives to every function, beside those of its stage."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.host import ports

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Takes back what the stage ``local`` of .chalice/config.json allows beyond AWS.
STRICT: Mapping[str, str] = {"EGRESS_ALLOW_LOOPBACK": "false", "SESSIONS_COOKIE_SECURE": "true"}

#: The port of a URL without a port.
_PORTS = {"http": 80, "mongodb": 27017}


def database(uri: str, *, own: bool) -> dict[str, str]:
    """Return the variables of the database at *uri*. ``MONGODB_DATABASE`` may name a database of a server not *own*."""
    named = {} if own else {"MONGODB_DATABASE": os.environ.get("MONGODB_DATABASE", "")}
    return {"MONGODB_URI": uri} | {name: value for name, value in named.items() if value}


def egress(front_port: int, *urls: str) -> dict[str, str]:
    """Return the variables that close the ports of the front, of *urls* and of ``scripts/serve`` to callbacks.

    A local stack admits loopback callbacks, and its emulator obeys every caller.
    """
    return {"EGRESS_REFUSED_PORTS": json.dumps(sorted({front_port, ports.SERVE, *ports_of(*urls)}))}


def receiver(url: str) -> dict[str, str]:
    """Return the variable that names the receiver at *url* to the console; none for an empty *url*."""
    return {"RECEIVER_URL": url} if url else {}


def addresses(receiver_url: str, front_port: int) -> dict[str, str]:
    """Return the variables that name to clients the receiver and the front's addresses, for sockets and for people."""
    front = f"{ports.HOST}:{front_port}"
    return {
        **receiver(receiver_url),
        "SOCKETS_PUBLIC_URL": f"ws://{front}/ws",
        "PUBLIC_URL": os.environ.get("PUBLIC_URL") or f"http://{front}",
    }


def ports_of(*urls: str) -> set[int]:
    """Return the ports that *urls* name. A MongoDB's URL may name several hosts."""
    found = set()
    for parts in map(urlsplit, urls):
        for host in parts.netloc.rpartition("@")[2].split(","):
            named = host.rpartition(":")[2]
            found.add(int(named) if named.isdecimal() else _PORTS.get(parts.scheme, 443))
    return found
