"""Works off the queues (store, notify), and runs the sweep: notifies, counts anew, and reports once a day."""

from datetime import UTC, datetime
from typing import Any

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Later, Poison
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.runtime import deadline, ids, logs
from chalicelib.messages import notify, send, wiring
from chalicelib.messages.errors import MailboxFull
from chalicelib.messages.queues import NOTICE, POST, Notice, Posted

#: The pause before the next attempt while MongoDB is down: a quarter of the message's age, within these bounds. SQS
#: gives a message up after 1,000 deliveries, so after some 16 hours of an outage.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 2.0, 60.0
#: The mailboxes that one run of the sweep counts anew, if time allows, and the time for one.
_RECOUNTED, _ENOUGH_MS = 200, 1_000


def post(event: Any) -> dict[str, Any]:
    """Store each message of *event* once, and push it. A repeat is harmless: a message is stored under its id."""
    return run_batch(event, POST, Posted, _store)


def notice(event: Any) -> dict[str, Any]:
    """Notify the receiver of each notice of *event*. Repeats are harmless: devices recognise the message's id."""
    return run_batch(event, NOTICE, Notice, notify.deliver)


def sweep() -> int:
    """Notify receivers of messages that nobody acknowledged, count mailboxes anew each hour, and report once a day.

    Return the number of recounts.

    Safe to repeat, and beside senders.
    """
    logs.line().count("noticesSwept", notify.sweep())
    report()
    done = 0
    for account_id in wiring.mailboxes().to_recount(_RECOUNTED):
        if done and not deadline.allows(_ENOUGH_MS):
            break
        wiring.mailboxes().recount(account_id)
        done += 1
    return done


def report() -> None:
    """Log the figures of messages, if no process has within 24 hours. Each figure is a metric too."""
    if (found := wiring.stats().report()) is None:
        return
    with logs.invocation("messages") as line:
        line.count("messagesUndelivered", found.undelivered)
        line.count("messagesSentInWeek", found.sent)
        line.count("messagesDeliveredOfWeek", found.delivered)
        line.count("messagesSuccessPercent", found.success_percent)
        line.count("messagesStorageBytes", found.storage_bytes)


def next_due() -> datetime | None:
    """Return when a receiver is to be notified, or None. Recounts and reports have no moment that anybody sees."""
    return wiring.notices().next_due()


def _store(posted: Posted, _claim: Claim) -> None:
    """Store one message.

    Raises:
        Poison: the receiver is at the limit of undelivered messages.
        Later: MongoDB is down; the attempt does not count.
    """
    try:
        send.keep(posted.message_id, *posted.people, posted.new)
    except MailboxFull as error:
        raise Poison(str(error)) from error
    except Unavailable as error:
        age = (datetime.now(UTC) - ids.made_at(posted.message_id)).total_seconds()
        pause = min(max(age / 4, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        raise Later("MongoDB cannot be reached just now.", pause, counted=False) from error
