"""Declares the messages slice."""

from chalicelib.core.slice import Indexes, Slice
from chalicelib.messages import wiring, worker
from chalicelib.messages.actions import ACTIONS
from chalicelib.messages.api import routes
from chalicelib.messages.offer import remind
from chalicelib.messages.queues import NOTICE, POST
from chalicelib.messages.settings import MessageSettings


def _indexes() -> Indexes:
    from chalicelib.messages import joins, mailbox, store

    return {"messages": store.INDEXES, "mailboxes": mailbox.INDEXES, "message_joins": joins.INDEXES}


def _revoke(username: str, epoch: str | None) -> None:
    """Delete every message to a deleted user (*epoch* None). Safe to repeat."""
    if epoch is None:
        wiring.store().forget(username)


SLICE = Slice(
    name="messages",
    routes=routes,
    queues=(POST, NOTICE),
    actions=ACTIONS,
    pinged=remind,
    settings=(MessageSettings,),
    indexes=_indexes,
    sweep=worker.sweep,
    revoke=_revoke,
    next_due=worker.next_due,
)
