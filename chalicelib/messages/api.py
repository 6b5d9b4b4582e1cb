"""HTTP routes of messages."""

from functools import partial
from operator import itemgetter

from chalicelib import users
from chalicelib.core.errors import Forbidden, NotYours
from chalicelib.core.models import Username
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web import ADMIN_ONLY, Answer, Call, Caller, Page, PageQuery, Routes, paging
from chalicelib.messages import send, wiring
from chalicelib.messages.errors import MailboxFull, MessageTooLarge, SendingTooFast, UnknownReceiver
from chalicelib.messages.models import BufferStats, Deleted, Message, NewMessage, NewMessages, Results, Sent, Status

routes = Routes(__name__)
_PARAMS = {"user_id": Username}


@routes.add(
    "POST",
    "/api/messages",
    body=NewMessage,
    answers={201: Sent, 202: Sent},
    raises=(Forbidden, UnknownReceiver, MailboxFull, MessageTooLarge, SendingTooFast),
)
def send_message(call: Call[NewMessage, None]) -> Answer:
    """Send a message. It is stored, pushed to the receiver's connections, and kept until a device acknowledges it.

    The same `clientMessageId` of the same sender is stored once. 202 to callers with API keys while MongoDB is down:
    the message waits in a queue.
    """
    outcome = send.send(call.caller, call.body, call.operation.id)
    status = 202 if outcome.status is Status.QUEUED else 201
    return Answer(status, Sent(message_id=outcome.message_id, status=outcome.status))


@routes.add(
    "POST",
    "/api/messages/batch",
    body=NewMessages,
    answers={200: Results},
    raises=(Forbidden, SendingTooFast),
)
def send_messages(call: Call[NewMessages, None]) -> Results:
    """Send up to 100 messages, each answered for itself, in order. A refused message has a `problem`."""
    return Results(results=send.send_all(call.caller, call.body.messages, call.operation.id))


@routes.add(
    "GET",
    "/api/messages/buffered/{user_id}",
    params=_PARAMS,
    query=PageQuery,
    answers={200: Page[Message]},
    raises=(NotYours, UnknownReceiver),
)
def list_buffered(call: Call[None, PageQuery], user_id: str) -> str:
    """List a user's undelivered messages, in the order in which devices get them: high first, then oldest first."""
    owner = _owner(call.caller, user_id)
    query = paging.cursors()
    name = f"messages of {owner.account_id}"
    fetch = partial(wiring.store().page, owner.account_id)
    return query.render(name, call.query, fetch, itemgetter(0), lambda item: paging.json_of(item[1]))


@routes.add(
    "DELETE",
    "/api/messages/buffered/{user_id}",
    params=_PARAMS,
    roles=ADMIN_ONLY,
    answers={200: Deleted},
    raises=(UnknownReceiver,),
)
def delete_buffered(call: Call[None, None], user_id: str) -> Deleted:
    """Delete a user's undelivered messages. Their senders get no receipt."""
    owner = _owner(call.caller, user_id)
    return Deleted(deleted=wiring.store().delete(owner.account_id))


@routes.add("GET", "/api/messages/buffer-stats", roles=ADMIN_ONLY, answers={200: BufferStats})
def show_buffer_stats(call: Call[None, None]) -> BufferStats:
    """Count the kept messages, and name the twenty receivers with the most undelivered ones."""
    return wiring.stats().buffer()


def _owner(caller: Caller, username: str) -> Account:
    """Return the current account of *username*. The caller's own needs no read.

    Raises:
        NotYours: the name is not the caller's, and the caller is no administrator.
        UnknownReceiver: there is no such user.
    """
    if username == caller.username:
        return caller.account
    caller.require_self_or_admin()
    if (account_id := users.accounts([username]).get(username)) is None:
        raise UnknownReceiver
    return Account(username, account_id)
