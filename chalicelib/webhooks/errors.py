"""Errors of webhooks. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import Conflict, NotFound


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    code = "webhook-not-found"


class TooManyWebhooks(Conflict):
    """There are 100 webhooks already. Delete one that is not needed, or let one address take more events."""

    code = "too-many-webhooks"


class WebhookDisabled(Conflict):
    """The webhook is disabled, so nothing is sent. Enable the webhook first: PATCH with `enabled: true`."""

    code = "webhook-disabled"
