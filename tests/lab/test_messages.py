"""A device that was away for a day gets what another device has acknowledged; after a week it does not."""

from typing import Any

import pytest

from infra.local.lab.lab import Lab
from infra.local.stack import Stack
from tests.support.client import Person, json_of
from tests.support.sockets import connected, url_of
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack


def visit(stack: Stack, person: Person, device: str) -> list[str]:
    """Join as *device*, acknowledge every batch, and return the texts."""
    got: list[str] = []
    with connected(url_of(stack.url), "holdfast", f"token.{person.client.token}") as socket:
        event = socket.ask({"action": "join_chat", "deviceId": device})
        while event["event"] == "messages":
            got += [item["message"] for item in event["items"]]
            ids = [item["messageId"] for item in event["items"]]
            event = socket.ask({"action": "ack", "messageIds": ids, "deviceId": device})
        assert event == {"event": "joined", "undelivered": 0}
    return got


def test_device_away_for_a_day_gets_what_another_acknowledged(lab: Lab, stack: Stack, person: NewPerson) -> None:
    # Given a service with two devices, whose key no jump ends
    ann, bob = person("service"), person("service")
    assert visit(stack, bob, "phone") == visit(stack, bob, "tablet") == []

    def send(*texts: str) -> None:
        for text in texts:
            new: dict[str, Any] = {"to": bob.username, "chatId": "chat", "message": text}
            json_of(ann.client.post("/api/messages", new), 201)

    send("Monday 1", "Monday 2")
    assert visit(stack, bob, "phone") == ["Monday 1", "Monday 2"]
    # When the tablet comes a day later
    lab.advance(days=1)
    send("Tuesday")
    assert visit(stack, bob, "phone") == ["Tuesday"]
    # Then both have everything
    assert visit(stack, bob, "tablet") == ["Monday 1", "Monday 2", "Tuesday"]
    assert visit(stack, bob, "phone") == visit(stack, bob, "tablet") == []
    # And a device that comes after the time of delivered messages gets none
    lab.advance(days=8)
    assert visit(stack, bob, "laptop") == []
