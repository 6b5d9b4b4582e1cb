"""Notifies receivers without a connection by Firebase: asked for at a send or by the sweep, done by a queue."""

from datetime import UTC, datetime

from chalicelib import devices, sockets
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import ServiceError
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.attempts import Later
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.runtime.accounts import Account
from chalicelib.messages import wiring
from chalicelib.messages.models import Message, pushed
from chalicelib.messages.queues import NOTICE, Notice

#: The receivers that one run of the sweep looks at, if time allows, and the time for one.
_DUE, _ENOUGH_MS = 200, 1_000


def ask(receiver: Account, message_id: str) -> None:
    """Have *receiver* notified of a message, unless another notification was asked for within the quiet time.

    Never raises: the message is stored, and the sweep asks again.
    """
    try:
        if noticed_at := wiring.notices().claim(receiver.account_id):
            queueing.sender().send(NOTICE, Notice.of(receiver, message_id))
            wiring.notices().close(receiver.account_id, noticed_at)
            logs.line().count("noticesAsked")
    except ServiceError:
        logs.line().count("noticesLeft")


def sweep() -> int:
    """Push the first message again to receivers who acknowledged nothing in time; notify those without a connection.

    Return the number of receivers. Safe to repeat.
    """
    done = 0
    for receiver in wiring.notices().due(_DUE):
        if done and not deadline.allows(_ENOUGH_MS):
            break
        done += 1
        message = _first(receiver)
        if message is None or sockets.push(receiver.account_id, pushed(message)):
            wiring.notices().close(receiver.account_id)
        else:
            ask(receiver, message.message_id)
    return done


def deliver(notice: Notice, _claim: Claim) -> None:
    """Push a notification to the receiver's devices, for the time that the message is kept; none for a delivered one.

    Raises:
        Later: some devices could not be notified yet. A repeat leaves out notified devices.
    """
    for message in wiring.store().load([notice.message_id]):
        left = message.expires_at - datetime.now(UTC)
        notification = devices.Notification(
            title=f"Message from {message.sender}",
            body=message.message,
            data={"event": "chat_message", "messageId": message.message_id, "chatId": message.chat_id},
            ttl_ms=max(0, round(left.total_seconds() * 1000)),
            collapse_key=message.message_id,
        )
        outcome = devices.push(notice.receiver, notification)
        if outcome.again_after_seconds is not None:
            raise Later("Some devices could not be notified yet.", outcome.again_after_seconds)


def _first(receiver: Account) -> Message | None:
    """Return the first undelivered message of *receiver*, or None."""
    store = wiring.store()
    chosen = store.choose(receiver.account_id, 0, 1)
    return next(iter(store.load([each.message_id for each in chosen])), None)
