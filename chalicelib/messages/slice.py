"""Declares the messages slice."""

from chalicelib.core.slice import Indexes, Slice
from chalicelib.messages.settings import MessageSettings


def _indexes() -> Indexes:
    from chalicelib.messages import mailbox, store

    return {"messages": store.INDEXES, "mailboxes": mailbox.INDEXES}


SLICE = Slice(name="messages", settings=(MessageSettings,), indexes=_indexes)
