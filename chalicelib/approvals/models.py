"""Requests for an answer: pending, and then finally resolved, timed out or cancelled (no I/O).

A pending request times out at ``expiresAt``. The update that records the timeout may come later, and changes nothing
seen by readers.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator

from chalicelib.approvals.deliveries import Delivery
from chalicelib.core.models import Id, Instant, Model, Username, Whole
from chalicelib.core.queueing.entries import Entry
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.models import PageQuery, Query

#: The action shown by a timed-out request; a reserved word that no request may offer.
TIMEOUT = "timeout"

#: The approving action, needed from `required` people. If "approve" is not offered, the first action approves.
APPROVE = "approve"

#: Longest held call. API Gateway gives up after 29 s; the difference covers a cold start and the answer's way back.
LONGEST_HELD_MS = 25_000
LONGEST_MS = 7 * 24 * 3_600_000


class Status(StrEnum):
    """The state of a request. Every state but ``pending`` is final."""

    PENDING = "pending"
    RESOLVED = "resolved"
    TIMEOUT = TIMEOUT
    CANCELLED = "cancelled"


def _distinct(actions: list[str]) -> list[str]:
    if len(set(actions)) < len(actions) or TIMEOUT in actions:
        raise ValueError(f"must be actions that differ from each other and from '{TIMEOUT}'")
    return actions


def _finite(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # Python reads a number like 1e400 as infinity, and JSON has no infinity.
    try:
        json.dumps(data, allow_nan=False)
    except ValueError:
        raise ValueError("must not have infinite numbers") from None
    return data


Action = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Actions = Annotated[
    list[Action],
    Field(min_length=1, max_length=20, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


class SideEffect(StrEnum):
    """The side effects of a request, worked off by the queue."""

    NOTIFY = "notify"
    CALLBACK = "callback"
    ESCALATE = "escalate"
    #: The moment at which an unanswered request times out.
    EXPIRE = "expire"
    #: Withdraws the question from devices that show it.
    WITHDRAW = "withdraw"
    #: The event of the outcome, for webhooks and WebSocket connections.
    TELL = "tell"


def escalation(step: int) -> str:
    """Return the side effect of one step of an escalation."""
    return f"{SideEffect.ESCALATE.value}-{step}"


def notification(step: int) -> str:
    """Return the side effect that notifies the person of one step of an escalation."""
    return f"{SideEffect.NOTIFY.value}-{step}"


class Escalation(Model):
    """One more person to ask, *after_ms* after the request was made."""

    username: Username
    after_ms: Whole = Field(ge=1_000, le=LONGEST_MS)


class GivenAnswer(Model):
    """The answer for one person, and who gave the answer: the person, or an administrator."""

    username: str
    by: str
    action: str
    at: Instant


class NewApproval(Model):
    """A question to put to one person, or to several people of whom `required` must approve."""

    # The rule of `_holdable`, for readers of the OpenAPI description.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"wait": {"const": False}}, "required": ["wait"]},
            "else": {"properties": {"timeoutMs": {"maximum": LONGEST_HELD_MS}}},
        }
    )

    username: Username
    title: Annotated[str, Field(max_length=200)] = ""
    body: Annotated[str, Field(max_length=10_000)] = ""
    data: Annotated[dict[str, JsonValue], AfterValidator(_finite)] = Field(
        default_factory=dict, description="returned unchanged with the request; for the app that shows the question"
    )
    actions: Actions = Field(default_factory=lambda: ["approve", "reject"])
    wait: bool = Field(default=True, description="hold this call until the answer; else answer 202 at once")
    timeout_ms: Whole = Field(
        default=LONGEST_HELD_MS,
        ge=1_000,
        le=LONGEST_MS,
        description=f"time for answering, in milliseconds; at most {LONGEST_HELD_MS} while a call is held",
    )

    approvers: Annotated[list[Username], Field(max_length=50)] = Field(
        default_factory=list, description="further people who may answer"
    )
    required: Whole = Field(
        default=1, ge=1, le=51, description="how many people must approve; any other action ends the request"
    )
    escalate_to: Annotated[list[Escalation], Field(max_length=10)] = Field(
        default_factory=list, description="further people to ask if the request is still pending after `afterMs`"
    )
    callback_url: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None, description="address for a signed callback with the outcome"
    )

    @property
    def people(self) -> list[str]:
        """The people who may answer from the start, without duplicates."""
        return list(dict.fromkeys([self.username, *self.approvers]))

    @property
    def named(self) -> list[str]:
        """Everyone named by the request, including escalations, without duplicates."""
        return list(dict.fromkeys([*self.people, *(step.username for step in self.escalate_to)]))

    @field_validator("required")
    @classmethod
    def _attainable(cls, value: int, info: ValidationInfo) -> int:
        people = {info.data.get("username"), *info.data.get("approvers", [])}
        if value > len(people):
            raise ValueError("must not be more than there are people to ask")
        return value

    @field_validator("escalate_to")
    @classmethod
    def _before_timeout(cls, value: list[Escalation], info: ValidationInfo) -> list[Escalation]:
        if any(step.after_ms >= info.data.get("timeout_ms", LONGEST_MS) for step in value):
            raise ValueError("afterMs must be less than timeoutMs")
        return value

    @field_validator("timeout_ms")
    @classmethod
    def _holdable(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("wait", True) and value > LONGEST_HELD_MS:
            raise ValueError(f"must be at most {LONGEST_HELD_MS} while the call waits; send wait: false for longer")
        return value


class GivenAction(Model):
    """The action chosen by a person."""

    action: Action


class UserAction(Model):
    """The action chosen by a person, for the oldest pending request the person has not answered."""

    username: Username
    action: Action


class WaitQuery(Query):
    """How long to hold the call for an answer."""

    wait_ms: int = Field(
        default=0,
        ge=0,
        le=LONGEST_HELD_MS,
        description="answer when the request is settled, or after so many milliseconds",
    )


class ApprovalQuery(PageQuery):
    """Filters of the list of requests."""

    status: Status | None = None
    username: Username | None = None


class Approval(Model):
    """A request in answers."""

    request_id: Id
    username: str
    title: str
    body: str
    data: dict[str, JsonValue]
    actions: list[str]
    status: Status
    action: str | None
    created_by: str
    created_at: Instant
    expires_at: Instant
    resolved_at: Instant | None
    response_ms: int | None
    approvers: list[str]
    required: int
    answers: list[GivenAnswer]
    escalate_to: list[Escalation]
    deliveries: list[Delivery]
    resolved_by: str | None = Field(description="who gave the deciding answer, or cancelled; null after a timeout")
    asked_by: str | None = Field(description="the instance that took the question")
    resolved_through: str | None = Field(description="the instance that took the deciding answer or the cancellation")
    heard_by: str | None = Field(description="the instance that held the asking call; null with `wait: false`")


class Outcome(Model):
    """The outcome of a request whose caller waited."""

    request_id: Id
    username: str
    status: Status
    action: str | None


class Accepted(Model):
    """A request whose caller did not wait."""

    request_id: Id
    status: Status
    expires_at: Instant


class CallbackSecret(Model):
    """The secret for checking the signatures of a caller's callbacks."""

    secret: str


class Removed(Model):
    """How many overdue requests were recorded as timed out."""

    removed: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as stored at one moment, with the time left before ``expiresAt`` by the server's clock.

    *operations* are the ids of the operations that answered or cancelled the request, *entries* the outbox entries.
    Account ids decide who may do what: *accounts* are those of the approvers, *escalated* those of the escalation.
    """

    approval: Approval
    remaining_ms: int
    created_by: str = ""
    accounts: tuple[str, ...] = ()
    escalated: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    callback_url: str | None = None
    #: How many deliveries of webhooks led to the question or to its answer.
    hops: int = 0

    @property
    def settled(self) -> bool:
        """Return whether the state is final."""
        return self.approval.status is not Status.PENDING

    @property
    def asked(self) -> list[Account]:
        """The people who may answer."""
        return [Account(*person) for person in zip(self.approval.approvers, self.accounts, strict=True)]

    def due_in_ms(self, effect: str) -> int:
        """Return the milliseconds until *effect* is due by the server's clock; 0 if overdue, or without an entry."""
        return max((each.due_in_ms for each in self.entries if each.effect == effect and each.due_in_ms > 0), default=0)

    def escalation(self, step: int) -> Account:
        """Return the person asked at escalation *step*."""
        return Account(self.approval.escalate_to[step].username, self.escalated[step])
