"""Sends the mails of leads, of all activations in turn, within the shared rate. Loaded by the worker alone."""

from time import monotonic, sleep

from chalicelib import users
from chalicelib.activation import completion, wiring
from chalicelib.activation.letter import Rendered, link, render
from chalicelib.activation.models import UNCERTAIN, Letter
from chalicelib.activation.queues import MAIL, Turn
from chalicelib.activation.service import Refused
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Limit
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.runtime import deadline, logs

_RATE = "mail"
#: How long one turn begins new mails, and the time that a mail takes with a slow service and slow stores.
_TURN_SECONDS, _ENOUGH_MS = 15.0, 20_000


def turn() -> int:
    """Send pending mails until none waits or the turn is over; return how many were asked for.

    Safe to repeat, and beside other turns: a mail is claimed once, for ever.

    Raises:
        Unavailable: a store or the mail service cannot be reached; the mail is pending again.
    """
    until, done = monotonic() + _TURN_SECONDS, 0
    limit = Limit(wiring.mail_options().per_second, 1_000)
    while monotonic() < until and deadline.allows(_ENOUGH_MS) and wiring.mails().has_mails():
        taken = coordination.rates().take(_RATE, limit)
        if not taken.ok:
            sleep(min(taken.retry_after_ms, 1_000) / 1_000)
            continue
        if (letter := wiring.mails().next()) is None:
            coordination.rates().give_back(_RATE, limit)
            break
        _send(letter)
        done += 1
    logs.line().count("mailsAsked", done)
    completion.tell()
    if done and wiring.mails().has_mails():
        queueing.sender().send(MAIL, Turn())
    return done


def _send(letter: Letter) -> None:
    """Ask for one mail, and store the outcome.

    Raises:
        Unavailable: the mail service was not asked, and the mail is pending again.
    """
    mails = wiring.mails()
    if (mail := _written(letter)) is None:
        mails.failed(letter, "user-deleted")
        return
    try:
        mail_id = wiring.service().send(letter.email, mail)
    except Unavailable:
        mails.give_back(letter)
        raise
    except Refused as error:
        mails.failed(letter, f"refused: {error}")
    except Exception as error:  # noqa: BLE001 # the service may have been asked, so the mail must not be pending again
        logs.failed("mail_uncertain", error)
        mails.failed(letter, UNCERTAIN)
    else:
        mails.sent(letter, mail_id)


def _written(letter: Letter) -> Rendered | None:
    """Return the mail with a new link, or None if the user is gone. After an error the mail is pending again."""
    try:
        token = users.offer_password(*letter.account)
        if token is None:
            return None
        address = link(wiring.public_url(), token)
        return render(name=letter.name, username=letter.account.username, link=address, hours=users.link_hours())
    except Exception:
        wiring.mails().give_back(letter)
        raise
