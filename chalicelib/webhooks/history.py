"""HTTP routes of deliveries: their lists, and the calls that send some again. Adds to the routes of `api`."""

from collections.abc import Iterator
from typing import Any

from chalicelib.core.errors import FieldError, Invalid, TooMany
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.stores import newest
from chalicelib.core.web import ADMIN_ONLY, Call, Page, paging
from chalicelib.webhooks import sending, wiring, worker
from chalicelib.webhooks.admit import admit
from chalicelib.webhooks.api import ONE, PARAMS, enabled, routes
from chalicelib.webhooks.errors import (
    CountChanged,
    DeliveryInFlight,
    DeliveryNotDue,
    DeliveryNotFound,
    WebhookDisabled,
    WebhookNotFound,
    WrongSignature,
)
from chalicelib.webhooks.shown import (
    AllDeliveriesQuery,
    Delivery,
    DeliveryId,
    DeliveryQuery,
    OneDelivery,
    Recover,
    Recovered,
    Replay,
    Replayed,
    Stated,
    StatementQuery,
    Statistics,
    StatisticsQuery,
    Waiting,
    delivery,
    one_delivery,
    stated,
)

__all__ = ["routes"]

_DELIVERY = {**PARAMS, "delivery_id": DeliveryId}
_MADE = f"{ONE}/deliveries/{{delivery_id}}"
#: The longest one recovery works, and the time that one more step may take.
_BUDGET_MS, _STEP_MS = 15_000, 3_000
#: Counts end here.
_MOST_WAITING = 1_000


@routes.add(
    "GET",
    f"{ONE}/deliveries",
    roles=ADMIN_ONLY,
    params=PARAMS,
    query=DeliveryQuery,
    answers={200: Page[Delivery]},
)
def list_deliveries_of_webhook(call: Call[None, DeliveryQuery], webhook_id: str) -> str:
    """List the deliveries to one webhook, newest first. Those of a deleted webhook stay for their 30 days."""
    return _listed(f"deliveries to {webhook_id}", call.query, {"webhook": webhook_id})


@routes.add(
    "GET",
    f"{ONE}/statement",
    roles=ADMIN_ONLY,
    params=PARAMS,
    query=StatementQuery,
    answers={200: Page[Stated]},
    raises=(WebhookNotFound, WrongSignature, TooMany),
    signer=admit,
)
def show_statement(call: Call[None, StatementQuery], webhook_id: str) -> str:
    """Show sequence, id and digest of each delivery that was made for a webhook, in order of sequence.

    The webhook's own secret may sign the call in place of a session. Tests have no sequence, and do not show.
    Deliveries are kept for 31 days: a lower sequence than the first that shows was removed.
    """
    wiring.store().get(webhook_id)

    def fetch(limit: int, after: str | None) -> Iterator[Stated]:
        first = int(after) + 1 if after else call.query.from_
        return map(stated, wiring.statement().page(webhook_id, first, limit))

    name = f"statement of {webhook_id}"
    return paging.cursors().render(name, call.query, fetch, lambda one: str(one.sequence))


@routes.add(
    "GET",
    f"{ONE}/statistics",
    roles=ADMIN_ONLY,
    params=PARAMS,
    query=StatisticsQuery,
    answers={200: Statistics},
    raises=(WebhookNotFound,),
)
def show_statistics(call: Call[None, StatisticsQuery], webhook_id: str) -> Statistics:
    """Show how a webhook fares: its calls within some days, how long answers took, and what waits now.

    The calls are counted, each once, at the end of the turn in which they were made. The calls of a function that died
    may be missing.
    """
    wiring.store().get(webhook_id)
    answered, failed, latency = wiring.statistics().of(webhook_id, call.query.days)
    waiting, first = wiring.health().pending(webhook_id, _MOST_WAITING)
    return Statistics(
        days=call.query.days, answered=answered, failed=failed, latency_ms=latency, waiting=waiting, next_due_at=first
    )


@routes.add("GET", "/api/deliveries", roles=ADMIN_ONLY, query=AllDeliveriesQuery, answers={200: Page[Delivery]})
def list_deliveries(call: Call[None, AllDeliveriesQuery]) -> str:
    """List the deliveries to all webhooks, newest first."""
    return _listed("deliveries", call.query, {})


@routes.add(
    "GET",
    "/api/deliveries/{delivery_id}",
    roles=ADMIN_ONLY,
    params={"delivery_id": DeliveryId},
    answers={200: OneDelivery},
    raises=(DeliveryNotFound,),
)
def show_delivery(call: Call[None, None], delivery_id: str) -> OneDelivery:
    """Show one delivery with its body and its attempts."""
    return one_delivery(wiring.archive().get(delivery_id))


@routes.add(
    "POST",
    f"{_MADE}/replay",
    roles=ADMIN_ONLY,
    params=_DELIVERY,
    answers={200: OneDelivery},
    raises=(WebhookNotFound, DeliveryNotFound, DeliveryInFlight, WebhookDisabled),
)
def replay_delivery(call: Call[None, None], webhook_id: str, delivery_id: str) -> OneDelivery:
    """Send a delivery once more now. Its schedule stays, and a failure leaves it as it was."""
    webhook = enabled(webhook_id)
    found = wiring.archive().replay(webhook_id, delivery_id, call.operation.id)
    wiring.server().wake(webhook, 0)
    return one_delivery(found)


@routes.add(
    "POST",
    f"{_MADE}/retry-now",
    roles=ADMIN_ONLY,
    params=_DELIVERY,
    answers={200: OneDelivery},
    raises=(WebhookNotFound, DeliveryNotFound, DeliveryNotDue, WebhookDisabled),
)
def retry_delivery(call: Call[None, None], webhook_id: str, delivery_id: str) -> OneDelivery:
    """Make the next attempt of a delivery due now. The attempt counts as one of the schedule."""
    webhook = enabled(webhook_id)
    found = wiring.archive().retry_now(webhook_id, delivery_id, call.operation.id)
    wiring.server().wake(webhook, 0)
    return one_delivery(found)


@routes.add(
    "POST",
    f"{ONE}/recover",
    roles=ADMIN_ONLY,
    params=PARAMS,
    body=Recover,
    answers={200: Recovered},
    raises=(WebhookNotFound, WebhookDisabled, CountChanged),
)
def recover_deliveries(call: Call[Recover, None], webhook_id: str) -> Recovered:
    """Send the dead deliveries since a time again, in order of sequence, each with a new schedule.

    `dryRun: true` only counts, and `expectedCount` refuses if the count has changed.
    """
    webhook = enabled(webhook_id)
    with deadline.at_most(_BUDGET_MS):
        recovered = wiring.archive().recover(webhook_id, call.body, call.operation.id, _time_left)
    logs.line().add(webhookId=webhook_id, recovered=recovered.count)
    if not call.body.dry_run:
        wiring.server().wake(webhook, 0)
    return recovered


@routes.add(
    "POST",
    "/api/deliveries/replay",
    roles=ADMIN_ONLY,
    body=Replay,
    answers={200: Replayed},
    raises=(CountChanged, Invalid),
)
def replay_deliveries(call: Call[Replay, None]) -> Replayed:
    """Send all deliveries of a filter once more, in order of sequence. Their schedules stay.

    `dryRun: true` only counts; else `expectedCount` refuses if the count has changed. Deliveries in flight, and those
    of disabled and deleted webhooks, are left as they are. A long job goes on after the answer, within a minute.
    """
    asked, ids = call.body, sending.enabled()
    if asked.dry_run:
        return wiring.jobs().count(asked.filter, ids)
    if asked.expected_count is None:
        raise Invalid([FieldError("expectedCount", "is required without dryRun")])
    begun = wiring.jobs().begin(call.operation.id, asked.filter, asked.expected_count, ids)
    logs.line().add(jobId=call.operation.id, replayed=begun.count - begun.skipped)
    with deadline.at_most(_BUDGET_MS):
        done = sending.go_on(call.operation.id, _time_left)
    return begun.model_copy(update={"more": not done})


@routes.add("GET", "/api/cluster/webhooks/queue", roles=ADMIN_ONLY, answers={200: Waiting})
def show_webhook_queue(call: Call[None, None]) -> Waiting:
    """Count the deliveries that are not finished, and look for deliveries that nobody would send."""
    load = worker.load()
    return Waiting(due=load.pending, in_flight=load.processing, forgotten=worker.check())


def _listed(name: str, query: DeliveryQuery | AllDeliveriesQuery, wanted: dict[str, Any]) -> str:
    def fetch(limit: int, after: str | None) -> Iterator[Delivery]:
        return map(delivery, wiring.archive().page(query.filter | wanted, limit, after))

    return paging.cursors().render(name, query, fetch, lambda one: newest.position(one.created_at, one.delivery_id))


def _time_left() -> bool:
    return deadline.allows(_STEP_MS)
