"""The sweep of connections: announces planned reconnects, pings idle connections, closes those that have ended."""

from collections.abc import Callable
from datetime import datetime

from pydantic_core import to_json

from chalicelib.core.runtime import deadline
from chalicelib.core.web.frames import Event
from chalicelib.sockets import wiring
from chalicelib.sockets.close import close, close_invalid
from chalicelib.sockets.delivery import send
from chalicelib.sockets.models import ANNOUNCED_MS, Held

#: Time that a call of the gateway may take. With less time left, the next sweep continues.
_ENOUGH_MS = 2_000

_RECONNECT: Event = {"event": "reconnect", "withinSeconds": ANNOUNCED_MS // 1000}
_PING: Event = {"event": "ping"}


def sweep() -> int:
    """Announce, ping and close what is due, as far as time allows. Return how many connections. Safe to repeat.

    An announcement or a ping is made once, by one sweep; if its process dies in between, no other sweep makes it.
    """
    if not wiring.reachable():
        return 0
    store = wiring.store()
    done = _each(store.to_announce, _RECONNECT) + _each(store.to_ping, _PING)
    ended = store.ended()
    close(ended)
    return done + len(ended) + close_invalid()


def next_due() -> datetime | None:
    """Return when the next planned reconnect is due to be announced, or None."""
    return wiring.store().next_due()


def _each(claim: Callable[[], Held | None], event: Event) -> int:
    """Send *event* to each connection that *claim* returns, as long as time allows; return how many."""
    done, data = 0, to_json(event)
    while deadline.allows(_ENOUGH_MS) and (held := claim()):
        send([held], data)
        done += 1
    return done
