"""HTTP routes of webhooks, for administrators. `history` adds the routes of deliveries."""

from datetime import UTC, datetime
from typing import Any

from chalicelib.core import egress
from chalicelib.core.models import Id
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import clock
from chalicelib.core.web import ADMIN_ONLY, Call, Routes
from chalicelib.webhooks import secrets, wiring
from chalicelib.webhooks.errors import (
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

routes = Routes(__name__)

PARAMS = {"webhook_id": Id}
ONE = "/api/webhooks/{webhook_id}"


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


@routes.add("GET", ONE, roles=ADMIN_ONLY, params=PARAMS, answers={200: Webhook}, raises=(WebhookNotFound,))
def show_webhook(call: Call[None, None], webhook_id: str) -> Webhook:
    """Show one webhook, without its secret."""
    return shown(wiring.store().get(webhook_id))


@routes.add(
    "PATCH",
    ONE,
    roles=ADMIN_ONLY,
    params=PARAMS,
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


@routes.add("DELETE", ONE, roles=ADMIN_ONLY, params=PARAMS, answers={204: None}, raises=(WebhookNotFound,))
def delete_webhook(call: Call[None, None], webhook_id: str) -> None:
    """Delete a webhook. Its deliveries that wait end as dead."""
    wiring.store().remove(webhook_id, **_author(call))
    wiring.deliveries().end_all(webhook_id, Reason.DELETED)


@routes.add(
    "POST",
    f"{ONE}/rotate-secret",
    roles=ADMIN_ONLY,
    params=PARAMS,
    answers={200: MadeWebhook},
    raises=(WebhookNotFound,),
    secret=True,
)
def rotate_secret(call: Call[None, None], webhook_id: str) -> MadeWebhook:
    """Make a new secret, shown only in this answer. For 24 h both secrets sign every delivery."""
    return _with_secret(wiring.store().rotate(webhook_id, now=datetime.now(UTC), **_author(call)))


@routes.add("POST", f"{ONE}/pause", roles=ADMIN_ONLY, params=PARAMS, answers={200: Webhook}, raises=(WebhookNotFound,))
def pause_webhook(call: Call[None, None], webhook_id: str) -> Webhook:
    """Let deliveries wait until the webhook is resumed. Calls that have begun go on."""
    return shown(wiring.store().change(webhook_id, {"paused": True}, **_author(call)))


@routes.add("POST", f"{ONE}/resume", roles=ADMIN_ONLY, params=PARAMS, answers={200: Webhook}, raises=(WebhookNotFound,))
def resume_webhook(call: Call[None, None], webhook_id: str) -> Webhook:
    """Send the deliveries that waited, and all later ones."""
    webhook = wiring.store().change(webhook_id, {"paused": False}, **_author(call))
    wiring.server().wake_all(webhook)
    return shown(webhook)


@routes.add(
    "POST",
    f"{ONE}/test",
    roles=ADMIN_ONLY,
    params=PARAMS,
    answers={202: Tested},
    raises=(WebhookNotFound, WebhookDisabled),
)
def test_webhook(call: Call[None, None], webhook_id: str) -> Tested:
    """Send a delivery of the type `webhook.test`, which has no sequence."""
    webhook = enabled(webhook_id)
    happening = Happening(f"test/{call.operation.id}", TEST, clock.stamp(), shown(webhook).model_dump_json())
    made = wiring.deliveries().test(webhook_id, happening)
    wiring.server().wake(webhook, 0)
    return Tested(delivery_id=made)


def enabled(webhook_id: str) -> Record:
    """Return the webhook.

    Raises:
        WebhookNotFound: there is no such webhook.
        WebhookDisabled: nothing is sent to the webhook.
    """
    webhook = wiring.store().get(webhook_id)
    if not webhook.doc["enabled"]:
        raise WebhookDisabled
    return webhook


def _with_secret(webhook: Record) -> MadeWebhook:
    secret = secrets.secret_of(webhook.id, webhook.doc["generation"])
    return MadeWebhook(secret=secret, **dict(shown(webhook)))


def _author(call: Call[Any, None]) -> dict[str, str]:
    return {"by": call.caller.username, "operation": call.operation.id}
