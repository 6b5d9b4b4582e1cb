"""Webhooks and their deliveries: shapes of requests and answers, and which events a webhook wants (no I/O)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from chalicelib.core.models import WHOLE, Form, Instant, Model
from chalicelib.core.records.models import Doc, Record
from chalicelib.core.records.shape import Shape

KIND_NAME = "webhook"
#: The event that tells other webhooks that one was disabled.
DISABLED = "disabled"
#: The type of a delivery that an administrator asks for, to try an address.
TEST = "webhook.test"
#: The most webhooks of a deployment: each is asked about each event.
MOST = 100

EventName = Annotated[
    str,
    StringConstraints(max_length=80, pattern=r"^(\*|[a-z][a-z0-9_-]*\.(\*|[a-z][a-z0-9_-]*))$"),
    Form("must be an event such as 'application.approved', '*' in the place of its last word, or '*' for all events"),
]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Description = Annotated[str, StringConstraints(max_length=500)]
#: The number of calls within a minute.
RatePerMinute = Annotated[int, Field(ge=1, le=60_000), WHOLE]
InFlight = Annotated[int, Field(ge=1, le=50), WHOLE]
Events = Annotated[list[EventName], Field(min_length=1, max_length=50)]


class Priority(StrEnum):
    """The queue of a webhook's deliveries."""

    NORMAL = "normal"
    HIGH = "high"


class Status(StrEnum):
    """The status of a delivery."""

    DUE = "due"
    IN_FLIGHT = "in-flight"
    DELIVERED = "delivered"
    DEAD = "dead"


class Trigger(StrEnum):
    """What caused an attempt."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    RECOVER = "recover"


class Reason(StrEnum):
    """Why a delivery is dead."""

    #: The receiver refused for good, with this attempt's status.
    REFUSED = "refused"
    #: Every attempt of the schedule failed.
    EXHAUSTED = "exhausted"
    #: Still due after 30 days.
    EXPIRED = "expired"
    #: Happened while the webhook was disabled, or was due when it was disabled.
    DISABLED = "disabled"
    #: The webhook was deleted.
    DELETED = "deleted"
    #: More than five deliveries of webhooks in a row led to this one.
    LOOP = "loop"
    #: The workers of all attempts died.
    LOST = "lost"


class NewWebhook(Model):
    """Request to make a webhook."""

    url: Url
    events: Events
    description: Description = ""
    rate_limit_per_minute: RatePerMinute = Field(default=60, description="calls within a minute, over all instances")
    max_in_flight: InFlight = Field(
        default=5, description="calls at once; a quarter of the workers at most, whatever is asked"
    )
    priority: Literal["normal", "high"] = Field(
        default="normal", description="`high` has a queue and workers of its own"
    )

    @property
    def fields(self) -> Doc:
        """The document to be stored."""
        return {
            **self.model_dump(mode="json"),
            "enabled": True,
            "paused": False,
            "disabledReason": None,
            "generation": 1,
            "rotatedAt": None,
        }


def _absent() -> Any:
    """Return a placeholder for a field that was not sent. Only sent fields of a change are read."""


class WebhookChange(Model):
    """Fields to be replaced; absent fields stay."""

    url: Url = Field(default_factory=_absent)
    events: Events = Field(default_factory=_absent)
    description: Description = Field(default_factory=_absent)
    rate_limit_per_minute: RatePerMinute = Field(default_factory=_absent)
    max_in_flight: InFlight = Field(default_factory=_absent)
    priority: Literal["normal", "high"] = Field(default_factory=_absent)
    enabled: bool = Field(
        default_factory=_absent,
        description="false: what happens is recorded and not sent; true: later events are sent again",
    )

    @property
    def fields(self) -> Doc:
        """The sent fields, in the form of the document."""
        fields = self.model_dump(mode="json", exclude_unset=True)
        if "enabled" in fields:
            fields["disabledReason"] = None if fields["enabled"] else "by an administrator"
        return fields


class Webhook(Model):
    """A webhook in answers, without its secret."""

    webhook_id: str
    url: str
    events: list[str]
    description: str
    rate_limit_per_minute: int
    max_in_flight: int
    priority: Priority
    enabled: bool
    disabled_reason: str | None = Field(description="why the webhook is disabled; null if it is enabled")
    paused: bool = Field(description="deliveries wait until the webhook is resumed")
    rotated_at: Instant | None = Field(description="when the secret was changed; the one before holds for 24 h more")
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant
    updated_by: str


class MadeWebhook(Webhook):
    """A new webhook, or one with a new secret, with the secret, which is shown in this answer alone."""

    secret: str


class WebhookPage(Model):
    """All webhooks."""

    items: list[Webhook]


class Tested(Model):
    """A test delivery that was made."""

    delivery_id: str


def shown(record: Record) -> Webhook:
    """Return *record* as a webhook in answers."""
    fields = {name: value for name, value in record.doc.items() if name != "generation"}
    metadata = {
        "webhookId": record.id,
        "version": record.version,
        "createdAt": record.created_at,
        "createdBy": record.created_by,
        "updatedAt": record.updated_at,
        "updatedBy": record.updated_by,
    }
    return Webhook.model_validate({**fields, **metadata}, strict=False)


def moves(doc: Doc, before: Doc | None) -> list[str]:
    """Return the event of a version that has disabled the webhook."""
    return [DISABLED] if before is not None and before.get("enabled") and not doc["enabled"] else []


def wants(events: Sequence[str], name: str) -> bool:
    """Return whether a webhook with *events* gets the event *name*."""
    return any(event in {"*", name} or event == f"{name.partition('.')[0]}.*" for event in events)


#: The JSON of a webhook in answers.
SHAPE = Shape(Webhook, shown)
