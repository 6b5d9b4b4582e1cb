"""The functions of the queues, and the sweep. The queues' messages only say that there is work."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from chalicelib.activation import wiring
from chalicelib.activation.models import Outcome
from chalicelib.activation.queues import ACTIVATION, MAIL, Turn
from chalicelib.core.queueing import delivery
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.attempts import Outcome as Done
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.runtime import deadline, logs

#: The outcomes of leads by SES's type of event.
_RETURNS = {"Bounce": Outcome.BOUNCED, "Complaint": Outcome.COMPLAINED}


def activate(event: Any) -> dict[str, Any]:
    """Make the users of waiting chunks. A repeat is harmless: a chunk is claimed, and counted once."""
    from chalicelib.activation import work  # noqa: PLC0415 # tables of domains, for this function alone

    return _take_turns(event, ACTIVATION, work.turn)


def send_mails(event: Any) -> dict[str, Any]:
    """Send pending mails. A repeat is harmless: a mail is claimed once."""
    from chalicelib.activation import post  # noqa: PLC0415 # templates, for this function alone

    return _take_turns(event, MAIL, post.turn)


def returned(event: Any) -> None:
    """Change the outcome of the lead whose mail came back, by an event of SES. Safe to repeat.

    Raises:
        Unavailable: MongoDB is down; Lambda repeats the event.
    """
    detail = event.detail
    kind = detail["eventType"]
    told = detail[kind.lower()]
    words = [told.get(name) for name in ("bounceType", "bounceSubType", "complaintFeedbackType")]
    outcome = _RETURNS[kind]
    reason = " ".join([f"{outcome}:", *filter(None, words)]).rstrip(":")
    with deadline.bind(event.context), logs.invocation("returned") as line:
        known = wiring.mails().returned(detail["mail"]["messageId"], outcome, reason)
        line.add(outcome=outcome, known=known)


def sweep() -> int:
    """Count mails of dead workers as uncertain, and wake workers if anything waits; return the number of these mails.

    Workers also tell of completions that no process told of.

    Safe to repeat: a turn too many finds nothing.
    """
    lost = wiring.mails().sweep()
    wiring.outbox().sweep()
    if wiring.store().has_chunks():
        queueing.sender().send_all(ACTIVATION, [Turn() for _ in range(ACTIVATION.concurrency)])
    if wiring.mails().has_mails():
        queueing.sender().send_all(MAIL, [Turn() for _ in range(MAIL.concurrency)])
    return lost


def next_due() -> datetime | None:
    """Return since when the work that waits the longest has waited, or None."""
    moments = (wiring.store().oldest(), wiring.mails().oldest(), wiring.outbox().next_due())
    return min(filter(None, moments), default=None)


def _take_turns(event: Any, queue: Queue, turn: Callable[[], int]) -> dict[str, Any]:
    def work(record: delivery.Record) -> Done:
        if (message := delivery.readable(record, queue, Turn)) is None:
            return Done.DEAD
        logs.line().add(requestId=message.caused_by)
        turn()
        return Done.DONE

    return delivery.deliver(event, queue, work)
