"""A connection hears of its planned reconnect ten minutes before its end, and ends after two hours."""

from datetime import timedelta

import pytest

from infra.local.lab.lab import Lab
from infra.local.stack import Stack
from tests.support.sockets import connected, url_of
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack

_SOON = timedelta(minutes=2)


def test_reconnect_is_announced_before_the_connection_ends(lab: Lab, stack: Stack, person: NewPerson) -> None:
    # Given a connection of a service, whose key no jump ends
    service = person("service")
    with connected(url_of(stack.url), "holdfast", f"token.{service.client.token}") as socket:
        opened = lab.now()
        socket.send({"action": "subscribe", "topics": ["approvals"]})
        socket.until("subscribed")
        # When nothing comes for an hour, pings alone keep the connection in use
        lab.advance_to(opened + timedelta(minutes=109))
        assert socket.receive() == {"event": "ping"}
        # Then
        lab.advance_to(opened + timedelta(minutes=110) + _SOON)
        assert socket.until("reconnect") == {"event": "reconnect", "withinSeconds": 600}
        socket.send({"action": "ping"})
        assert socket.until("pong") == {"event": "pong"}
        lab.advance_to(opened + timedelta(hours=2) + _SOON)
        assert socket.closed() is not None
