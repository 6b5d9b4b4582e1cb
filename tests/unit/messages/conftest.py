"""Messages in an empty database."""

from collections.abc import Mapping
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import sockets
from chalicelib.messages import wiring
from chalicelib.messages.mailbox import Mailboxes
from chalicelib.messages.settings import MessageSettings
from chalicelib.messages.store import MessageStore


class Pushes:
    """Open connections by account, and the events pushed to them. The slice sockets has tests of real pushes."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def push(self, account_id: str, event: Mapping[str, Any]) -> int:
        if taken := self.open.get(account_id, 0):
            self.events.append((account_id, event))
        return taken


@pytest.fixture(autouse=True)
def pushes(monkeypatch: pytest.MonkeyPatch) -> Pushes:
    pushes = Pushes()
    monkeypatch.setattr(sockets, "push", pushes.push)
    return pushes


@pytest.fixture
def store(mongodb: Database[dict[str, Any]]) -> MessageStore:
    return wiring.store()


@pytest.fixture
def small(mongodb: Database[dict[str, Any]]) -> MessageStore:
    """The messages of receivers with five undelivered messages at most."""
    options = MessageSettings(undelivered_at_most=5)
    mailboxes = Mailboxes(mongodb.mailboxes, options, wiring.store().count)
    return MessageStore(mongodb.messages, options, mailboxes)
