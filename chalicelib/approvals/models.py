"""What a request for an answer is: pending until it is resolved, times out or is cancelled, and never anything after.

It times out at ``expiresAt`` by itself. The update that records it may come later, and changes nothing a reader sees.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator

from chalicelib.core.models import Id, Instant, Model, Username, Whole
from chalicelib.core.queueing.entries import Entry
from chalicelib.core.web.models import PageQuery, Query

#: What a timed-out request shows as its action; nobody may offer it.
TIMEOUT = "timeout"

#: The action that needs as many people as are required; where it is not offered, the first one is.
APPROVE = "approve"

#: API Gateway gives up after 29 s; this leaves room for a cold start and the way back.
LONGEST_HELD_MS = 25_000
LONGEST_MS = 7 * 24 * 3_600_000


class Status(StrEnum):
    """Where a request stands. Every state but the first is final."""

    PENDING = "pending"
    RESOLVED = "resolved"
    TIMEOUT = TIMEOUT
    CANCELLED = "cancelled"


def _distinct(actions: list[str]) -> list[str]:
    if len(set(actions)) < len(actions) or TIMEOUT in actions:
        raise ValueError(f"actions must differ from each other and from '{TIMEOUT}'")
    return actions


def _finite(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # A number like 1e400 is read as infinity, which JSON cannot say again.
    json.dumps(data, allow_nan=False)
    return data


Action = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Actions = Annotated[
    list[Action],
    Field(min_length=1, max_length=20, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


class SideEffect(StrEnum):
    """What follows a change of a request, by the queue."""

    NOTIFY = "notify"
    CALLBACK = "callback"
    ESCALATE = "escalate"
    #: The moment at which an unanswered request times out.
    EXPIRE = "expire"


def escalation(step: int) -> str:
    """Return the effect of one step of an escalation."""
    return f"{SideEffect.ESCALATE.value}-{step}"


class Escalation(Model):
    """One more person, some time after the request was made."""

    username: Username
    after_ms: Whole = Field(ge=1_000, le=LONGEST_MS)


class GivenAnswer(Model):
    """Who has answered what."""

    username: str
    action: str
    at: Instant


class NewApproval(Model):
    """A question to put to a person, or to several of whom some number must agree."""

    # What `_holdable` checks, for those who read the description.
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
        default_factory=dict, description="carried to the person's device as it is"
    )
    actions: Actions = Field(default_factory=lambda: ["approve", "reject"])
    wait: bool = Field(default=True, description="hold this call until the answer; else answer 202 at once")
    timeout_ms: Whole = Field(
        default=LONGEST_HELD_MS,
        ge=1_000,
        le=LONGEST_MS,
        description=f"how long the person has; at most {LONGEST_HELD_MS} while a call is held",
    )

    approvers: Annotated[list[Username], Field(max_length=50)] = Field(
        default_factory=list, description="further people who may answer"
    )
    required: Whole = Field(
        default=1, ge=1, le=51, description="how many must approve; one who does anything else ends the request"
    )
    escalate_to: Annotated[list[Escalation], Field(max_length=10)] = Field(
        default_factory=list, description="people who are asked too when nobody has settled it by then"
    )
    callback_url: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None, description="told of the outcome, signed as webhooks are"
    )

    @property
    def people(self) -> list[str]:
        """Everyone who may answer from the start, each once."""
        return list(dict.fromkeys([self.username, *self.approvers]))

    @property
    def named(self) -> list[str]:
        """Everyone this request names, each once."""
        return list(dict.fromkeys([*self.people, *(step.username for step in self.escalate_to)]))

    @field_validator("required")
    @classmethod
    def _attainable(cls, value: int, info: ValidationInfo) -> int:
        people = {info.data.get("username"), *info.data.get("approvers", [])}
        if value > len(people):
            raise ValueError("more than there are people to ask")
        return value

    @field_validator("escalate_to")
    @classmethod
    def _in_time(cls, value: list[Escalation], info: ValidationInfo) -> list[Escalation]:
        if any(step.after_ms >= info.data.get("timeout_ms", LONGEST_MS) for step in value):
            raise ValueError("afterMs must be less than timeoutMs")
        return value

    @field_validator("timeout_ms")
    @classmethod
    def _holdable(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("wait", True) and value > LONGEST_HELD_MS:
            raise ValueError(f"at most {LONGEST_HELD_MS} while the call waits; send wait: false for longer")
        return value


class GivenAction(Model):
    """What a person chose."""

    action: Action


class UserAction(Model):
    """What a person chose, for the oldest request they have not answered."""

    username: Username
    action: Action


class WaitQuery(Query):
    """How long to hold the call for an answer."""

    wait_ms: int = Field(
        default=0, ge=0, le=LONGEST_HELD_MS, description="answer as soon as it is settled, or after this"
    )


class ApprovalQuery(PageQuery):
    """Which requests to list."""

    status: Status | None = None
    username: Username | None = None


class Approval(Model):
    """A request as it may be shown."""

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


class Outcome(Model):
    """What became of a request whose caller waited."""

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
    """What a caller checks the signatures of its callbacks with."""

    secret: str


class Removed(Model):
    """How many overdue requests were taken out of pending."""

    removed: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the store has it at one moment, and how long it still has by the server's clock.

    *operations* are those that answered or cancelled it, *entries* those of its outbox.
    """

    approval: Approval
    remaining_ms: int
    operations: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    callback_url: str | None = None

    @property
    def settled(self) -> bool:
        """Whether its state is final."""
        return self.approval.status is not Status.PENDING
