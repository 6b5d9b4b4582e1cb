"""Offers undelivered messages to a connection, in batches: after a join, after an acknowledgement, and at a ping.

A message that was sent while its receiver's device joins is read by the join, or pushed by the sender, or both: the
connection takes pushes before the first reading. A push that was lost with its process is offered at a later ping.
"""

from collections.abc import Sequence

from chalicelib import sockets
from chalicelib.core.web.frames import Connection, Event
from chalicelib.messages import wiring
from chalicelib.messages.joins import Join, Phase
from chalicelib.messages.models import Message

#: The bytes of a batch.
_BATCH_BYTES = 100_000
#: One message is enough to know that there is any.
_ONE_BYTE = 1


def join(connection: Connection) -> list[Event]:
    """Let pushes reach the connection, and return the first batch. Safe to repeat: a repeat begins anew.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    sockets.join(connection)
    return _next(wiring.joins().begin(connection.connection_id, connection.caller.account_id))


def proceed(connection: Connection, message_ids: Sequence[str]) -> list[Event]:
    """Return the next batch if one of *message_ids* is of the last batch, else nothing. One of several calls does.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    found = wiring.joins().get(connection.connection_id)
    if found is None or not set(message_ids) & set(found.awaiting):
        return []
    return _next(found)


def remind(connection: Connection) -> list[Event]:
    """Return, for a ping, the messages whose push or batch seems lost: nothing in most calls, for one or two reads.

    A batch of which nothing was acknowledged is repeated once. A message that was pushed and not acknowledged is
    offered once more.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    found = wiring.joins().get(connection.connection_id)
    if found is None or found.offered_at > found.settled_at:
        return []
    if found.phase is Phase.JOINED:
        return _look_back(found)
    left = wiring.store().load(found.awaiting)
    if len(left) < len(found.awaiting) or not found.awaiting:
        # The batch was acknowledged, and the next one was lost.
        return _next(found)
    if found.repeated or wiring.joins().repeat(found) is None:
        return []
    return [_batch(left)]


def _look_back(found: Join) -> list[Event]:
    """Return the messages that were stored since the last look and are not acknowledged."""
    between = (found.since, found.settled_at)
    if not wiring.store().choose(found.account_id, 0, _ONE_BYTE, between):
        return []
    late = wiring.joins().look_back(found, *between)
    return _next(late) if late else []


def _next(found: Join | None) -> list[Event]:
    """Return the next batch of the join, or the end of the join; nothing if another frame had the turn."""
    joins, store = wiring.joins(), wiring.store()
    while found is not None:
        between = (found.since, found.until) if found.phase is Phase.LATE else None
        if found.phase is Phase.JOINED:
            return []
        chosen = store.choose(found.account_id, found.rank, _BATCH_BYTES, between)
        if chosen:
            # A message may be delivered or unreadable by now; a batch without any other is left out.
            loaded = store.load([each.message_id for each in chosen])
            messages = [message for message in loaded if message.message_id not in found.seen]
            found = joins.offer(found, chosen[-1].rank, messages)
            if found and messages:
                return [_batch(messages)]
        elif found.phase is Phase.BACKLOG:
            found = joins.look_back(found, found.since, found.now)
        else:
            first = not found.told
            done = joins.complete(found)
            return [_joined(done)] if done and first else []
    return []


def _batch(messages: Sequence[Message]) -> Event:
    return {"event": "messages", "items": [message.model_dump(mode="json") for message in messages]}


def _joined(found: Join) -> Event:
    return {"event": "joined", "undelivered": wiring.store().count(found.account_id)}
