"""Makes the stores of messages, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.messages.settings import MessageSettings

if TYPE_CHECKING:
    from chalicelib.messages.joins import Joins
    from chalicelib.messages.mailbox import Mailboxes
    from chalicelib.messages.notices import Notices
    from chalicelib.messages.readers import Readers
    from chalicelib.messages.stats import Stats
    from chalicelib.messages.store import MessageStore


def options() -> MessageSettings:
    """Return the options of messages."""
    return settings.load(MessageSettings)


@once
def mailboxes() -> Mailboxes:
    """Return the mailboxes of all receivers."""
    from chalicelib.messages.mailbox import Mailboxes

    return Mailboxes(clients.mongodb().mailboxes, options(), lambda account_id: store().count(account_id))


@once
def store() -> MessageStore:
    """Return the messages."""
    from chalicelib.messages.store import MessageStore

    return MessageStore(clients.mongodb().messages, options(), mailboxes())


@once
def stats() -> Stats:
    """Return the figures of all messages."""
    from chalicelib.messages.stats import Stats

    return Stats(clients.mongodb().messages, clients.mongodb().mailboxes)


@once
def joins() -> Joins:
    """Return the joins of all connections."""
    from chalicelib.messages.joins import Joins

    return Joins(clients.mongodb().message_joins)


@once
def readers() -> Readers:
    """Return the devices of all receivers."""
    from chalicelib.messages.readers import Readers

    database = clients.mongodb()
    return Readers(database.mailboxes, database.messages, mailboxes(), options().devices_at_most)


@once
def notices() -> Notices:
    """Return the marks for notifications."""
    from chalicelib.messages.notices import Notices

    return Notices(clients.mongodb().mailboxes, options().quiet_seconds * 1_000)
