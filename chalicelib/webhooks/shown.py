"""Deliveries in answers: shapes, and queries for them (no I/O)."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from chalicelib.core.models import WHOLE, Form, Id, Instant, Model
from chalicelib.core.web.models import PageQuery, Query
from chalicelib.webhooks.models import EventName, Reason, Status, Trigger

DeliveryId = Annotated[
    str,
    StringConstraints(pattern=r"^dlv_[0-9a-f]{40}$"),
    Form("must be the id of a delivery, as a list or the header webhook-id gives it"),
]
#: A delivery in the answer of a list has no body and no attempts: their size is the receiver's choice.
LISTED: Mapping[str, Any] = dict.fromkeys(
    (
        "webhook",
        "type",
        "sequence",
        "status",
        "reason",
        "createdAt",
        "finishedAt",
        "due",
        "tries",
        "hops",
        "causedBy",
        "resume",
    ),
    1,
) | {"last": {"$last": "$attempts"}, "number": {"$size": "$attempts"}}


class Attempt(Model):
    """One call of the receiver. Without status and error the worker died, or the call is being made."""

    at: Instant
    trigger: Trigger = Field(description="`schedule`, or what an administrator asked for")
    status: int | None = Field(description="status of the answer; null without an answer")
    error: str | None = Field(description="why no answer came, as a word such as `timeout`")
    latency_ms: int | None
    answer: str = Field(description="the first KB of the answer's body; bytes that are no text as U+FFFD")


class Delivery(Model):
    """A delivery in lists."""

    delivery_id: str
    webhook_id: str
    type: str
    sequence: int | None = Field(description="number among the deliveries of the webhook; null for a test")
    status: Status
    reason: Reason | None = Field(description="why the delivery is dead")
    created_at: Instant
    finished_at: Instant | None
    due_at: Instant | None = Field(description="when the next attempt is due; null if no attempt follows")
    attempts: int = Field(description="calls so far, the last 50 at most")
    last_status: int | None = Field(description="status of the last answer")
    last_error: str | None = Field(description="why the last call brought no answer")
    last_at: Instant | None


class OneDelivery(Delivery):
    """A delivery with its body and its attempts."""

    body: str = Field(description="the bytes that are signed")
    hops: int
    caused_by: str = Field(description="id of the request or operation that caused the event")
    calls: list[Attempt]


class _Filter(Model):
    """What a list of deliveries may be filtered by."""

    status: Status | None = None
    type: EventName | None = Field(default=None, description="`application.approved`, or `application.*`")
    since: Instant | None = Field(default=None, description="made at this time or later")
    until: Instant | None = Field(default=None, description="made before this time")

    @property
    def filter(self) -> dict[str, Any]:
        """The query for MongoDB."""
        wanted: dict[str, Any] = {"status": self.status.value} if self.status else {}
        if self.type and self.type != "*":
            wanted["type"] = typed(self.type)
        made = {"$gte": self.since, "$lt": self.until}
        if bounds := {name: moment for name, moment in made.items() if moment}:
            # Apart from the position of a cursor, which bounds the same field.
            wanted["$and"] = [{"createdAt": bounds}]
        return wanted


class DeliveryFilter(_Filter):
    """Filters of the deliveries of all webhooks."""

    webhook_id: Id | None = None

    @property
    def filter(self) -> dict[str, Any]:
        """The query for MongoDB."""
        return super().filter | ({"webhook": self.webhook_id} if self.webhook_id else {})


class DeliveryQuery(_Filter, PageQuery):
    """Filters of a webhook's deliveries."""


class AllDeliveriesQuery(DeliveryFilter, PageQuery):
    """Filters of the list of all deliveries."""


class StatementQuery(PageQuery):
    """Where a page of a statement begins."""

    from_: int = Field(default=1, ge=1, le=10**15, alias="from", description="the first sequence of the statement")


class Stated(Model):
    """A delivery in the statement of its webhook."""

    sequence: int = Field(description="number among the deliveries of the webhook; without gaps among those kept")
    delivery_id: str
    digest: str = Field(description="SHA-256 of the body as it is sent, in hexadecimal")
    type: str
    created_at: Instant


class StatisticsQuery(Query):
    """The time of statistics."""

    days: int = Field(default=7, ge=1, le=31, description="days, with today, by UTC")


class Latency(Model):
    """How long answers took, in milliseconds, within two percent."""

    p50: int
    p90: int
    p99: int


class Statistics(Model):
    """The calls of a webhook within a time, and what waits now."""

    days: int
    answered: int = Field(description="calls that the receiver answered with success")
    failed: int = Field(description="calls without an answer, or answered with a failure")
    latency_ms: Latency | None = Field(description="of all calls with an answer; null without any")
    waiting: int = Field(description="deliveries that are due or in flight; 1,000 stands for as many or more")
    next_due_at: Instant | None = Field(description="when the first of them may be sent; null without any")


Count = Annotated[int, Field(ge=0, le=10**9), WHOLE]


class Recover(Model):
    """Which deliveries to send again: the dead ones made since a time."""

    since: Instant
    until: Instant | None = None
    dry_run: bool = Field(default=False, description="only count")
    expected_count: Count | None = Field(
        default=None, description="refuse with 409 unless so many would be sent, as the dry run said"
    )


class Recovered(Model):
    """The result of a recovery, or what it would do."""

    count: int = Field(description="deliveries that are sent again, or would be")
    delivered: int = Field(description="deliveries of the time that have arrived")
    more: bool = Field(description="time was too short for all; repeat the call for the rest")


class Replay(Model):
    """Which deliveries to send once more: those that the list shows with the same filter."""

    filter: DeliveryFilter = Field(description="the filter of the list of all deliveries; empty for all")
    dry_run: bool = Field(default=False, description="only count")
    expected_count: Count | None = Field(
        default=None, description="refuse with 409 unless so many match, as the dry run said; required without `dryRun`"
    )


class Replayed(Model):
    """How far a job of replays is. After a dry run: how many deliveries the job would replay."""

    count: int = Field(description="deliveries that match the filter")
    skipped: int = Field(description="those of them in flight, or of a disabled or deleted webhook: not sent")
    more: bool = Field(description="the job goes on after this answer")


class Waiting(Model):
    """The deliveries that are not finished, of all webhooks."""

    due: int = Field(description="deliveries with an attempt to come")
    in_flight: int = Field(description="deliveries whose receiver is being called")
    forgotten: int = Field(
        description="deliveries that nobody took within three minutes, though their webhook is open; must be 0"
    )


def typed(name: str) -> Any:
    """Return the condition on the type of a delivery: one event, or all of a kind."""
    kind, _, event = name.partition(".")
    # A full stop sorts right before a slash.
    return {"$gte": f"{kind}.", "$lt": f"{kind}/"} if event == "*" else name


def delivery(found: Mapping[str, Any]) -> Delivery:
    """Return the delivery of a document read with `LISTED`."""
    return Delivery.model_validate(_fields(found), strict=False)


def stated(found: Mapping[str, Any]) -> Stated:
    """Return the entry of a row of `statement.Statement`."""
    fields = {name: found[name] for name in ("sequence", "digest", "type", "createdAt")}
    return Stated.model_validate({"deliveryId": found["_id"], **fields}, strict=False)


def one_delivery(found: Mapping[str, Any]) -> OneDelivery:
    """Return the delivery of a whole document."""
    calls = [_attempt(each) for each in found["attempts"]]
    listed = {**found, "last": found["attempts"][-1] if calls else None, "number": len(calls)}
    whole = {"body": found["body"], "hops": found["hops"], "causedBy": found["causedBy"], "calls": calls}
    return OneDelivery.model_validate({**_fields(listed), **whole}, strict=False)


def _fields(found: Mapping[str, Any]) -> dict[str, Any]:
    last = found.get("last") or {}
    return {
        "deliveryId": found["_id"],
        "webhookId": found["webhook"],
        "type": found["type"],
        "sequence": found["sequence"],
        "status": found["status"],
        "reason": found.get("reason"),
        "createdAt": found["createdAt"],
        "finishedAt": found.get("finishedAt"),
        "dueAt": found.get("due") if found["status"] == Status.DUE else None,
        "attempts": found["number"],
        "lastStatus": last.get("status"),
        "lastError": last.get("error"),
        "lastAt": last.get("at"),
    }


def _attempt(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": found["at"],
        "trigger": found["trigger"],
        "status": found.get("status"),
        "error": found.get("error"),
        "latencyMs": found.get("latencyMs"),
        "answer": found.get("answer", ""),
    }
