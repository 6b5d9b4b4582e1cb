"""The frames of messages: ``join_chat``, ``chat_message``, ``ack`` and ``read``; and the offers at a ping."""

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field, StringConstraints

from chalicelib import sockets
from chalicelib.core import models
from chalicelib.core.models import Id, Username
from chalicelib.core.runtime import ids
from chalicelib.core.web.frames import Action, Connection, Event, Frame
from chalicelib.messages import offer, send, wiring
from chalicelib.messages.models import ChatId, ClientMessageId, NewMessage, Priority, Receipt

#: The most messages that one frame acknowledges; more than a batch holds.
_MOST = 500

DeviceId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class JoinChat(Frame):
    """A join. With *device_id*, stable for each installation, the device gets all that it has not acknowledged."""

    device_id: models.DeviceId | None = None


class ChatMessage(Frame):
    """A message to send. The sender's own id is required: a frame may come twice."""

    to: Username
    chat_id: ChatId
    message: Annotated[str, Field(min_length=1)]
    client_message_id: ClientMessageId
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL


class Acknowledged(Frame):
    """Messages that the device has, or has shown. Receipts name *device_id*."""

    message_ids: Annotated[list[Id], Field(min_length=1, max_length=_MOST)]
    device_id: DeviceId | None = None


def join_chat(connection: Connection, frame: JoinChat) -> Sequence[Event]:
    """Let pushes reach the connection, and answer the first batch of undelivered messages, or of the device's."""
    return offer.join(connection, frame.device_id)


def chat_message(connection: Connection, frame: ChatMessage) -> Event:
    """Send a message, and answer the receipt.

    Raises:
        Forbidden, SendingTooFast, UnknownReceiver, MessageTooLarge, MailboxFull, Unavailable: see `send.send`.
    """
    fields = ("to", "chat_id", "message", "client_message_id", "priority")
    new = NewMessage(**{name: getattr(frame, name) for name in fields})
    outcome = send.send(connection.caller, new, ids.new_id())
    receipt = {"clientMessageId": frame.client_message_id, "messageId": outcome.message_id}
    return {"event": "receipt", **receipt, "status": outcome.status.value, "pushedTo": outcome.pushed_to}


def acknowledge(connection: Connection, frame: Acknowledged) -> Sequence[Event]:
    """Mark messages delivered, send the receipts, and answer the next batch. Safe to repeat."""
    return _note(connection, frame, wiring.store().acknowledge)


def read(connection: Connection, frame: Acknowledged) -> Sequence[Event]:
    """Mark messages read, and so delivered; send the receipts, and answer the next batch. Safe to repeat."""
    return _note(connection, frame, wiring.store().read)


def _note(connection: Connection, frame: Acknowledged, change: Callable[..., Sequence[Receipt]]) -> Sequence[Event]:
    """Make the change, for the device that the frame names, or else for the device of the join."""
    found = offer.current(connection)
    joined = found.device if found else None
    device = frame.device_id or joined
    unsettled = found is not None and device == joined and found.unsettled
    _tell(change(connection.caller.account, frame.message_ids, device, unsettled=unsettled))
    return offer.proceed(found, frame.message_ids)


def _tell(receipts: Sequence[Receipt]) -> None:
    """Push each receipt to its sender. A sender without a connection is asked once, and reads the state by a resend."""
    away: set[str] = set()
    for receipt in receipts:
        if receipt.sender.account_id in away:
            continue
        event = {
            "event": "receipt",
            "clientMessageId": receipt.client_message_id,
            "messageId": receipt.message_id,
            "status": receipt.status.value,
            "deviceId": receipt.device,
        }
        if not sockets.push(receipt.sender.account_id, event):
            away.add(receipt.sender.account_id)


ACTIONS = (
    Action("join_chat", JoinChat, join_chat),
    Action("chat_message", ChatMessage, chat_message),
    Action("ack", Acknowledged, acknowledge),
    Action("read", Acknowledged, read),
)
