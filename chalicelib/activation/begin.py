"""Begins activations: of a list of leads, and of the failed leads of an earlier activation."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chalicelib.activation import wiring
from chalicelib.activation.errors import MailNotSetUp, NothingFailed
from chalicelib.activation.models import CHUNK, Accepted, Lead, NewActivation, NewLead, lead_id, unique
from chalicelib.activation.queues import ACTIVATION, MAIL, Turn
from chalicelib.activation.store import Activation, New
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.runtime import logs
from chalicelib.core.runtime.accounts import Account

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession


def begin(asked: NewActivation, owner: Account, operation: str) -> Accepted:
    """Begin an activation of *asked*; its id, if not given, is *operation*. Safe to repeat under one operation.

    Raises:
        MailNotSetUp: no mails can be sent.
        ProgressExists: the id is in use.
    """
    _check_mail()
    session_id = asked.session_id or operation
    leads = list(_leads(session_id, unique(asked.leads)))
    wiring.store().begin(New(session_id, owner, asked.type, leads, operation))
    wake(len(leads))
    return Accepted(session_id=session_id, total=len(leads))


def retry(activation: Activation, owner: Account, operation: str) -> Accepted:
    """Begin an activation of the failed leads of *activation*, and mark these in the same transaction.

    A lead keeps the operation that made its user, so the user of a mail that failed counts as activated again. Of
    concurrent calls, one begins; safe to repeat under one operation.

    Raises:
        MailNotSetUp: no mails can be sent.
        NothingFailed: no lead has failed, or an earlier call has tried the failed ones again.
    """
    _check_mail()
    if (known := wiring.store().total(operation)) is not None:
        return Accepted(session_id=operation, total=known)
    ledger = wiring.ledger()
    leads: Sequence[Lead] = ledger.failed(activation.session_id)
    if not leads:
        raise NothingFailed

    def mark(session: "ClientSession") -> None:
        # Another call has tried some of these leads again in between, or further leads have failed.
        if ledger.mark_retried(activation.session_id, operation, session) != len(leads):
            raise NothingFailed

    wiring.store().begin(New(operation, owner, activation.type, leads, operation), also=mark)
    wake(len(leads))
    return Accepted(session_id=operation, total=len(leads))


def wake(leads: int) -> None:
    """Wake workers for *leads* new leads. Never raises: the sweep wakes workers of what waits."""
    _wake(ACTIVATION, min(ACTIVATION.concurrency, -(-leads // CHUNK)))


def wake_mails() -> None:
    """Wake workers of mails. Never raises, as `wake`."""
    _wake(MAIL, MAIL.concurrency)


def _wake(queue: Queue, turns: int) -> None:
    try:
        queueing.sender().send_all(queue, [Turn() for _ in range(turns)])
    except Exception as error:  # noqa: BLE001 # the activation is stored, whatever the queue answers
        logs.failed("wake_failed", error)


def _check_mail() -> None:
    if not wiring.mail_options().sender or not wiring.public_url():
        raise MailNotSetUp


def _leads(session_id: str, leads: Iterable[NewLead]) -> Iterable[Lead]:
    for place, lead in enumerate(leads):
        yield Lead(place, lead.email.strip(), lead.name.strip(), lead_id(session_id, place))
