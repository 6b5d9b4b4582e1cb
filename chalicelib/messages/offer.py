"""Offers messages to a connection, in batches: after a join, after an acknowledgement, and at a ping.

A message that was sent while its receiver's device joins is read by the join, or pushed by the sender, or both: the
connection takes pushes before the first reading. A push that was lost with its process is offered at a later ping.
"""

from collections.abc import Sequence

from chalicelib import sockets
from chalicelib.core.web.frames import Connection, Event
from chalicelib.messages import wiring
from chalicelib.messages.joins import GRACE, Join, Phase
from chalicelib.messages.models import Message
from chalicelib.messages.readers import END

#: The bytes of a batch.
_BATCH_BYTES = 100_000
#: One message is enough to know that there is any.
_ONE_BYTE = 1


def join(connection: Connection, device: str | None = None) -> list[Event]:
    """Let pushes reach the connection, and return the first batch. Safe to repeat: a repeat begins anew.

    With *device*, the join offers all kept messages that this device has not acknowledged, else the undelivered ones.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    sockets.join(connection)
    owner = connection.caller.account
    reader = wiring.readers().register(owner, device) if device else None
    if reader and reader.settle_at and reader.settle_at <= reader.now:
        wiring.readers().settle(owner.account_id, reader.device, reader.since)
        reader = reader._replace(settled=True)
    return _next(wiring.joins().begin(connection.connection_id, owner.account_id, reader))


def current(connection: Connection) -> Join | None:
    """Return the join of the connection, or None before a join.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    return wiring.joins().get(connection.connection_id)


def proceed(found: Join | None, message_ids: Sequence[str]) -> list[Event]:
    """Return the next batch if one of *message_ids* is of the last batch, else nothing. One of several calls does.

    *found* is the join as of before the acknowledgement.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
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
        return _settle(found) if found.settle_at and found.settle_at <= found.now else _look_back(found)
    left = wiring.store().load(found.awaiting, found.view)
    if len(left) < len(found.awaiting) or not found.awaiting:
        # The batch was acknowledged, and the next one was lost.
        return _next(found)
    if found.repeated or wiring.joins().repeat(found) is None:
        return []
    return [_batch(left)]


def _look_back(found: Join) -> list[Event]:
    """Return the messages that were stored since the last look and are not acknowledged."""
    between = (found.since, found.settled_at)
    if not wiring.store().choose(found.account_id, 0, _ONE_BYTE, between, found.view):
        return []
    late = wiring.joins().look_back(found, *between)
    return _next(late) if late else []


def _settle(found: Join) -> list[Event]:
    """Return the messages whose sends were under way at the first join of the device. A rest waits for a next join."""
    late = wiring.readers().settle(found.account_id, found.device, found.device_since) if found.device else []
    settled = wiring.joins().settled(found)
    if settled is None or not late:
        return []
    chosen = wiring.store().choose(
        found.account_id, 0, _BATCH_BYTES, (found.device_since - GRACE, found.now), found.view
    )
    messages = wiring.store().load([each.message_id for each in chosen if each.message_id in late], found.view)
    return [_batch(messages)] if messages and wiring.joins().offer(settled, found.rank, messages) else []


def _next(found: Join | None) -> list[Event]:
    """Return the next batch of the join, or the end of the join; nothing if another frame had the turn."""
    joins, store = wiring.joins(), wiring.store()
    while found is not None:
        between = (found.since, found.until) if found.phase is Phase.LATE else None
        if found.phase is Phase.JOINED:
            return []
        chosen = store.choose(found.account_id, found.rank, _BATCH_BYTES, between, found.view)
        if chosen:
            # A message may be delivered or unreadable by now; a batch without any other is left out.
            loaded = store.load([each.message_id for each in chosen], found.view)
            messages = [message for message in loaded if message.message_id not in found.seen]
            found = joins.offer(found, chosen[-1].rank, messages)
            if found and messages:
                return [_batch(messages)]
        elif found.device and found.marked < END:
            found = joins.marked(found, wiring.readers().mark(found.account_id, found.device, found.marked))
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
