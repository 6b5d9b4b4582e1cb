"""Errors of webhooks. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import Conflict, NotFound, Unauthenticated


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    code = "webhook-not-found"


class TooManyWebhooks(Conflict):
    """There are 100 webhooks already. Delete one that is not needed, or let one address take more events."""

    code = "too-many-webhooks"


class WrongSignature(Unauthenticated):
    """No valid secret of this webhook signed this call within the last five minutes."""

    code = "wrong-signature"


class DeliveryNotFound(NotFound):
    """There is no such delivery, or the delivery is no longer kept."""

    code = "delivery-not-found"


class DeliveryInFlight(Conflict):
    """The receiver is being called with this delivery just now. Look at its attempts in a moment."""

    code = "delivery-in-flight"


class DeliveryNotDue(Conflict):
    """No attempt of this delivery follows. Replay the delivery to send it once more."""

    code = "delivery-not-due"


class CountChanged(Conflict):
    """Another number of deliveries than expected would be sent. Nothing was sent. Count again with `dryRun: true`."""

    code = "count-changed"


class WebhookDisabled(Conflict):
    """The webhook is disabled, so nothing is sent. Enable the webhook first: PATCH with `enabled: true`."""

    code = "webhook-disabled"
