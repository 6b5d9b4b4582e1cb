"""HTTP routes of webhooks, for administrators."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from chalicelib.core import egress
from chalicelib.core.models import Id
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import clock, deadline, logs
from chalicelib.core.stores import newest
from chalicelib.core.web import ADMIN_ONLY, Call, Page, Routes, paging
from chalicelib.webhooks import secrets, wiring, worker
from chalicelib.webhooks.errors import (
    CountChanged,
    DeliveryInFlight,
    DeliveryNotDue,
    DeliveryNotFound,
    TooManyWebhooks,
    WebhookDisabled,
    WebhookNotFound,
)
from chalicelib.webhooks.happenings import Happening
from chalicelib.webhooks.models import (
    TEST,
    MadeWebhook,
    NewWebhook,
    Reason,
    Tested,
    Webhook,
    WebhookChange,
    WebhookPage,
    shown,
)
from chalicelib.webhooks.shown import (
    AllDeliveriesQuery,
    Delivery,
    DeliveryId,
    DeliveryQuery,
    OneDelivery,
    Recover,
    Recovered,
    Waiting,
    delivery,
    one_delivery,
)

routes = Routes(__name__)

_PARAMS = {"webhook_id": Id}
_ONE = "/api/webhooks/{webhook_id}"
_DELIVERY = {**_PARAMS, "delivery_id": DeliveryId}
_MADE = f"{_ONE}/deliveries/{{delivery_id}}"
#: The longest one recovery works, and the time that one more step may take.
_BUDGET_MS, _STEP_MS = 15_000, 3_000


@routes.add(
    "POST",
    "/api/webhooks",
    roles=ADMIN_ONLY,
    body=NewWebhook,
    answers={201: MadeWebhook},
    raises=(TooManyWebhooks, egress.AddressRefused),
    secret=True,
)
def create_webhook(call: Call[NewWebhook, None]) -> MadeWebhook:
    """Make a webhook, which gets every event of its kinds from now on. The secret is shown only in this answer."""
    egress.check(call.body.url)
    return _with_secret(wiring.store().add(call.operation.id, call.body.fields, **_author(call)))


@routes.add("GET", "/api/webhooks", roles=ADMIN_ONLY, answers={200: WebhookPage})
def list_webhooks(call: Call[None, None]) -> WebhookPage:
    """List all webhooks, the oldest first. There are 100 at most."""
    return WebhookPage(items=[shown(webhook) for webhook in wiring.store().every()])


@routes.add("GET", _ONE, roles=ADMIN_ONLY, params=_PARAMS, answers={200: Webhook}, raises=(WebhookNotFound,))
def show_webhook(call: Call[None, None], webhook_id: str) -> Webhook:
    """Show one webhook, without its secret."""
    return shown(wiring.store().get(webhook_id))


@routes.add(
    "PATCH",
    _ONE,
    roles=ADMIN_ONLY,
    params=_PARAMS,
    body=WebhookChange,
    answers={200: Webhook},
    raises=(WebhookNotFound, egress.AddressRefused),
)
def change_webhook(call: Call[WebhookChange, None], webhook_id: str) -> Webhook:
    """Replace fields of a webhook; absent fields stay. Deliveries that wait go to the new address.

    `enabled: false` ends the deliveries that wait as dead; events are recorded meanwhile, and not sent.
    """
    fields = call.body.fields
    if "url" in fields:
        egress.check(fields["url"])
    webhook = wiring.store().change(webhook_id, fields, **_author(call))
    if fields.get("enabled") is True:
        wiring.health().clear(webhook_id)
    elif fields.get("enabled") is False:
        wiring.deliveries().end_all(webhook_id, Reason.DISABLED)
    return shown(webhook)


@routes.add("DELETE", _ONE, roles=ADMIN_ONLY, params=_PARAMS, answers={204: None}, raises=(WebhookNotFound,))
def delete_webhook(call: Call[None, None], webhook_id: str) -> None:
    """Delete a webhook. Its deliveries that wait end as dead."""
    wiring.store().remove(webhook_id, **_author(call))
    wiring.deliveries().end_all(webhook_id, Reason.DELETED)


@routes.add(
    "POST",
    f"{_ONE}/rotate-secret",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    answers={200: MadeWebhook},
    raises=(WebhookNotFound,),
    secret=True,
)
def rotate_secret(call: Call[None, None], webhook_id: str) -> MadeWebhook:
    """Make a new secret, shown only in this answer. For 24 h both secrets sign every delivery."""
    return _with_secret(wiring.store().rotate(webhook_id, now=datetime.now(UTC), **_author(call)))


@routes.add(
    "POST", f"{_ONE}/pause", roles=ADMIN_ONLY, params=_PARAMS, answers={200: Webhook}, raises=(WebhookNotFound,)
)
def pause_webhook(call: Call[None, None], webhook_id: str) -> Webhook:
    """Let deliveries wait until the webhook is resumed. Calls that have begun go on."""
    return shown(wiring.store().change(webhook_id, {"paused": True}, **_author(call)))


@routes.add(
    "POST", f"{_ONE}/resume", roles=ADMIN_ONLY, params=_PARAMS, answers={200: Webhook}, raises=(WebhookNotFound,)
)
def resume_webhook(call: Call[None, None], webhook_id: str) -> Webhook:
    """Send the deliveries that waited, and all later ones."""
    webhook = wiring.store().change(webhook_id, {"paused": False}, **_author(call))
    wiring.server().wake_all(webhook)
    return shown(webhook)


@routes.add(
    "POST",
    f"{_ONE}/test",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    answers={202: Tested},
    raises=(WebhookNotFound, WebhookDisabled),
)
def test_webhook(call: Call[None, None], webhook_id: str) -> Tested:
    """Send a delivery of the type `webhook.test`, which has no sequence."""
    webhook = _enabled(webhook_id)
    happening = Happening(f"test/{call.operation.id}", TEST, clock.stamp(), shown(webhook).model_dump_json())
    made = wiring.deliveries().test(webhook_id, happening)
    wiring.server().wake(webhook, 0)
    return Tested(delivery_id=made)


@routes.add(
    "GET",
    f"{_ONE}/deliveries",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    query=DeliveryQuery,
    answers={200: Page[Delivery]},
)
def list_deliveries_of_webhook(call: Call[None, DeliveryQuery], webhook_id: str) -> str:
    """List the deliveries to one webhook, newest first. Those of a deleted webhook stay for their 30 days."""
    return _listed(f"deliveries to {webhook_id}", call.query, {"webhook": webhook_id})


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
    webhook = _enabled(webhook_id)
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
    webhook = _enabled(webhook_id)
    found = wiring.archive().retry_now(webhook_id, delivery_id, call.operation.id)
    wiring.server().wake(webhook, 0)
    return one_delivery(found)


@routes.add(
    "POST",
    f"{_ONE}/recover",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    body=Recover,
    answers={200: Recovered},
    raises=(WebhookNotFound, WebhookDisabled, CountChanged),
)
def recover_deliveries(call: Call[Recover, None], webhook_id: str) -> Recovered:
    """Send the dead deliveries since a time again, in order of sequence, each with a new schedule.

    `dryRun: true` only counts, and `expectedCount` refuses if the count has changed.
    """
    webhook = _enabled(webhook_id)
    with deadline.at_most(_BUDGET_MS):
        recovered = wiring.archive().recover(webhook_id, call.body, call.operation.id, _time_left)
    logs.line().add(webhookId=webhook_id, recovered=recovered.count)
    if not call.body.dry_run:
        wiring.server().wake(webhook, 0)
    return recovered


@routes.add("GET", "/api/cluster/webhooks/queue", roles=ADMIN_ONLY, answers={200: Waiting})
def show_webhook_queue(call: Call[None, None]) -> Waiting:
    """Count the deliveries that are not finished, and look for deliveries that nobody would send."""
    load = worker.load()
    return Waiting(due=load.pending, in_flight=load.processing, forgotten=worker.check())


def _listed(name: str, query: DeliveryQuery, wanted: dict[str, Any]) -> str:
    def fetch(limit: int, after: str | None) -> Iterator[Delivery]:
        return map(delivery, wiring.archive().page(query.filter | wanted, limit, after))

    return paging.cursors().render(name, query, fetch, lambda one: newest.position(one.created_at, one.delivery_id))


def _time_left() -> bool:
    return deadline.allows(_STEP_MS)


def _enabled(webhook_id: str) -> Record:
    webhook = wiring.store().get(webhook_id)
    if not webhook.doc["enabled"]:
        raise WebhookDisabled
    return webhook


def _with_secret(webhook: Record) -> MadeWebhook:
    secret = secrets.secret_of(webhook.id, webhook.doc["generation"])
    return MadeWebhook(secret=secret, **dict(shown(webhook)))


def _author(call: Call[Any, None]) -> dict[str, str]:
    return {"by": call.caller.username, "operation": call.operation.id}
