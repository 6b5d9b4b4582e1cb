"""Sends messages: stores first, then pushes to the receiver's connections. For routes, frames and the queue.

While MongoDB is down, a message of a caller with an API key goes to the queue, and its worker stores the message later.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chalicelib import sockets, users
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Limit
from chalicelib.core.errors import FieldError, Forbidden, Invalid, ServiceError, Unavailable
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.runtime import logs
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.roles import Caller
from chalicelib.messages import notify, wiring
from chalicelib.messages.errors import MessageTooLarge, SendingTooFast, UnknownReceiver
from chalicelib.messages.models import LARGEST_BYTES, Faults, NewMessage, Result, Status, item_id, pushed
from chalicelib.messages.queues import POST, Posted

_SECOND_MS = 1_000


class Outcome(NamedTuple):
    """A message that was taken, and how many connections of the receiver it was pushed to."""

    message_id: str
    status: Status
    pushed_to: int = 0


def send(caller: Caller, new: NewMessage, message_id: str) -> Outcome:
    """Send a message under *message_id*. Safe to repeat.

    Raises:
        Forbidden, SendingTooFast: the caller may not send, or not now.
        UnknownReceiver, MessageTooLarge, MailboxFull: the message was not taken.
        Unavailable: a store is down, and the caller has no API key.
    """
    _allow(caller, 1)
    return _send(caller, new, users.accounts([new.to]), message_id)


def send_all(caller: Caller, given: Sequence[NewMessage | Faults], operation_id: str) -> list[Result]:
    """Send each message for itself, in order. Return the results in the order of *given*. Safe to repeat.

    Raises:
        Forbidden, SendingTooFast: the caller may not send, or not so many now; nothing was sent.
        Unavailable: a store is down, and no message was taken or refused for another reason.
    """
    _allow(caller, len(given))
    names = sorted({new.to for new in given if isinstance(new, NewMessage)})
    known = users.accounts(names) if names else {}
    results: list[Result] = []
    down: Unavailable | None = None
    for number, new in enumerate(given):
        own_id = new.client_message_id
        try:
            if isinstance(new, Faults):
                raise Invalid([FieldError(*fault) for fault in new.errors])
            outcome = _send(caller, new, known, item_id(operation_id, number))
        except ServiceError as error:
            down = error if isinstance(error, Unavailable) else down
            results.append(_refused(own_id, error))
        else:
            results.append(_taken(own_id, outcome))
    if down and all(result.problem and result.problem["code"] == down.code for result in results):
        raise down
    return results


def keep(message_id: str, sender: Account, receiver: Account, new: NewMessage) -> Outcome:
    """Store a message, and push it to the receiver's connections, or have a receiver without one notified.

    Safe to repeat; a repeat pushes again.

    Raises:
        MailboxFull: the receiver is at the limit.
        Unavailable: MongoDB cannot be reached.
    """
    kept = wiring.store().put(message_id, sender, receiver, new)
    logs.line().count("messagesStored", int(kept.new))
    if kept.status is not Status.BUFFERED:
        return Outcome(kept.message_id, kept.status)
    taken = sockets.push(kept.receiver.account_id, pushed(kept.message))
    if not taken:
        notify.ask(kept.receiver, kept.message_id)
    return Outcome(kept.message_id, kept.status, taken)


def _allow(caller: Caller, number: int) -> None:
    options = wiring.options()
    if not caller.is_admin and not caller.roles & options.senders:
        raise Forbidden
    limit = Limit(options.sends_per_second, _SECOND_MS)
    taken = coordination.rates().take(f"messages/{caller.account_id}", limit, number)
    if not taken.ok:
        raise SendingTooFast(retry_after_seconds=-(-taken.retry_after_ms // _SECOND_MS))


def _send(caller: Caller, new: NewMessage, known: Mapping[str, str], message_id: str) -> Outcome:
    if new.size_bytes > LARGEST_BYTES:
        raise MessageTooLarge
    if (account_id := known.get(new.to)) is None:
        raise UnknownReceiver
    receiver = Account(new.to, account_id)
    try:
        return keep(message_id, caller.account, receiver, new)
    except Unavailable:
        if caller.session_id is not None:
            raise
    # Whether the message was stored is unknown: the worker stores it under the same id.
    posted = Posted(
        message_id=message_id,
        sender=caller.username,
        sender_account=caller.account_id,
        receiver_account=account_id,
        new=new,
    )
    queueing.sender().send(POST, posted, group=caller.account_id)
    logs.line().count("messagesQueued")
    return Outcome(message_id, Status.QUEUED)


def _taken(own_id: str | None, outcome: Outcome) -> Result:
    return Result(message_id=outcome.message_id, client_message_id=own_id, status=outcome.status, problem=None)


def _refused(own_id: str | None, error: ServiceError) -> Result:
    problem = error.problem(logs.line().fields.get("requestId", ""))
    return Result(message_id=None, client_message_id=own_id, status=Status.REFUSED, problem=problem)
