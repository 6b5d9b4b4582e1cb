"""Messages in an empty database."""

from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.messages import wiring
from chalicelib.messages.mailbox import Mailboxes
from chalicelib.messages.settings import MessageSettings
from chalicelib.messages.store import MessageStore


@pytest.fixture
def store(mongodb: Database[dict[str, Any]]) -> MessageStore:
    return wiring.store()


@pytest.fixture
def small(mongodb: Database[dict[str, Any]]) -> MessageStore:
    """The messages of receivers with five undelivered messages at most."""
    options = MessageSettings(undelivered_at_most=5)
    mailboxes = Mailboxes(mongodb.mailboxes, options, wiring.store().count)
    return MessageStore(mongodb.messages, options, mailboxes)
