"""What a request for an answer is: pending until it is resolved, times out or is cancelled, and never anything after.

It times out at ``expiresAt`` by itself. The update that records it may come later, and changes nothing a reader sees.
"""

import json
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator

from chalicelib.shapes import Id, Instant, Model, PageQuery, Query, Username, Whole

#: What a timed-out request shows as its action; nobody may offer it.
TIMEOUT = "timeout"

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


class NewApproval(Model):
    """A question to put to a person."""

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


class Removed(Model):
    """How many overdue requests were taken out of pending."""

    removed: int


class Seen(NamedTuple):
    """A request as the store has it at one moment, and how long it still has by the server's clock.

    *settled_by* is the operation that answered or cancelled it.
    """

    approval: Approval
    remaining_ms: int
    settled_by: str | None = None

    @property
    def settled(self) -> bool:
        """Whether its state is final."""
        return self.approval.status is not Status.PENDING
