"""Makes the stores of activation and the mail service, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.activation.settings import ActivationSettings, MailSettings
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.activation.ledger import Ledger
    from chalicelib.activation.mails import Mails
    from chalicelib.activation.service import MailService
    from chalicelib.activation.store import ActivationStore
    from chalicelib.core.queueing.outbox import Outbox


def options() -> ActivationSettings:
    """Return the options of activation."""
    return settings.load(ActivationSettings)


def mail_options() -> MailSettings:
    """Return the options of mail."""
    return settings.load(MailSettings)


def public_url() -> str:
    """Return the address to which links in mails lead, or "" if none is set."""
    return settings.load(settings.PublicSettings).url or ""


@once
def store() -> ActivationStore:
    """Return the activations and their chunks."""
    from chalicelib.activation.store import ActivationStore

    return ActivationStore(clients.mongodb(), options().leads_days)


@once
def outbox() -> Outbox:
    """Return the outbox of activations. The message of an entry wakes a worker, who looks for entries."""
    from chalicelib.activation.queues import ACTIVATION, Turn
    from chalicelib.core.queueing import wiring as queueing
    from chalicelib.core.queueing.outbox import Address, Outbox

    return Outbox(clients.mongodb().activations, lambda _id, _effect: Address(ACTIVATION, Turn()), queueing.sender)


@once
def ledger() -> Ledger:
    """Return the settled leads."""
    from chalicelib.activation.ledger import Ledger

    return Ledger(clients.mongodb(), store(), options().leads_days)


@once
def mails() -> Mails:
    """Return the mails of leads."""
    from chalicelib.activation.mails import Mails

    return Mails(clients.mongodb(), store())


@once
def service() -> MailService:
    """Return the mail service. No request is repeated, and a late answer is awaited: without it a mail is uncertain."""
    from chalicelib.activation.service import ANSWER_SECONDS, MailService

    return MailService(clients.aws("ses", attempts=1, read_timeout_seconds=ANSWER_SECONDS), mail_options())
