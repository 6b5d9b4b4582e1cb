"""Works off the queues of webhooks (accept events, serve lanes), and runs the sweep."""

from datetime import datetime
from typing import Any

from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.queueing.queues import Load, Queue
from chalicelib.core.queueing.sender import Parcel
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import deadline, logs
from chalicelib.webhooks import sending, wiring
from chalicelib.webhooks.errors import WebhookNotFound
from chalicelib.webhooks.models import Reason
from chalicelib.webhooks.queues import EVENT, URGENT, WEBHOOK, News, queue_of

#: The time that one more step of a job may take.
_STEP_MS = 3_000


def accept(event: Any) -> dict[str, Any]:
    """Make the deliveries of each event of *event*. Repeats make none."""
    acceptor = wiring.acceptor()
    return run_batch(event, EVENT, News, acceptor.accept, together=acceptor.accept_all)


def send(event: Any) -> dict[str, Any]:
    """Send the due deliveries of the lanes of *event*. Receivers recognise a repeat by its ``webhook-id``."""
    return wiring.server().run(event, WEBHOOK)


def send_urgent(event: Any) -> dict[str, Any]:
    """Do the same for webhooks of high priority."""
    return wiring.server().run(event, URGENT)


def load() -> Load:
    """Return how many deliveries wait, and how many are being sent."""
    return wiring.health().load()


def sweep() -> int:
    """Wake lanes with work, end what expired, and give up webhooks that only fail. Return the number of lanes woken.

    Safe to repeat, and beside workers.
    """
    health, deliveries, line = wiring.health(), wiring.deliveries(), logs.line()
    line.count("deliveriesExpired", deliveries.expire())
    for webhook_id in health.given_up():
        reason = f"Nothing but failures for {wiring.options().failing_days} days."
        with logs.invocation("webhook") as told:
            told.add(webhookDisabled=webhook_id, why=reason)
            wiring.store().disable(webhook_id, reason)
        line.count("webhooksGivenUp")
        health.clear(webhook_id)
    webhooks = {webhook.id: webhook for webhook in wiring.store().every()}
    for webhook_id in health.known():
        if (webhook := webhooks.get(webhook_id)) is None:
            _forget(webhook_id)
        elif not webhook.doc["enabled"]:
            deliveries.end_all(webhook_id, Reason.DISABLED)
    opens = _open(list(webhooks.values()))
    line.count("deliveriesForgotten", _forgotten(opens))
    woken = _wake_all(webhooks, opens)
    for job_id in wiring.jobs().open():
        sending.go_on(job_id, lambda: deadline.allows(_STEP_MS))
    return woken


def next_due() -> datetime | None:
    """Return the earliest moment of work, or None: a delivery is due or ends, a webhook is given up, a job goes on."""
    webhooks = wiring.store().every()
    sent = [webhook.id for webhook in webhooks if webhook.doc["enabled"]]
    moments = [wiring.health().next_due(_open(webhooks), sent), wiring.jobs().since()]
    return min((moment for moment in moments if moment), default=None)


def check() -> int:
    """Return how many deliveries are neither finished, nor in flight under a live lease, nor waiting for their turn.

    Must be 0: more are deliveries that nobody will send.
    """
    return _forgotten(_open(wiring.store().every()))


def _forgotten(opens_in_ms: dict[str, int]) -> int:
    return wiring.health().forgotten([webhook_id for webhook_id, opens in opens_in_ms.items() if not opens])


def _open(webhooks: list[Record]) -> dict[str, int]:
    """Return the lanes that may send, and the time in milliseconds until each opens: 0 unless a breaker is closed."""
    sending = [webhook.id for webhook in webhooks if webhook.doc["enabled"] and not webhook.doc["paused"]]
    return {id_: max((each.opens_in_ms for each in wiring.slots().closed(id_)), default=0) for id_ in sending}


def _wake_all(webhooks: dict[str, Record], opens_in_ms: dict[str, int]) -> int:
    """Wake each lane that is or comes open within the horizon and has a delivery by then, at that time."""
    parcels: dict[Queue, list[Parcel]] = {WEBHOOK: [], URGENT: []}
    for waiting in wiring.health().waiting(opens_in_ms):
        webhook = webhooks[waiting.webhook_id]
        delay = max(0, -(-waiting.due_in_ms // 1000))
        wake = Parcel(Wake(owner=webhook.id, lane=webhook.id), delay, group=webhook.id)
        parcels[queue_of(webhook.doc["priority"])].append(wake)
    for queue, wakes in parcels.items():
        queueing.sender().send_all(queue, wakes)
    return sum(map(len, parcels.values()))


def _forget(webhook_id: str) -> None:
    """End what a deleted webhook has left. The read model may be behind: the system of record decides."""
    try:
        wiring.store().get(webhook_id)
    except WebhookNotFound:
        wiring.deliveries().end_all(webhook_id, Reason.DELETED)
        if wiring.health().due_in_ms(webhook_id) is None:
            wiring.health().forget(webhook_id)
