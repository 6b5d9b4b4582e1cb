"""Snapshots of jobs, and their shapes over HTTP (no I/O)."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from chalicelib.core.models import WHOLE, Instant, JobType, Model
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.models import Query

#: The counters of a job beside its total. A part of the job is settled when activated, skipped or failed.
COUNTERS = ("activated", "skipped", "failed", "emailsSent", "emailsFailed", "emailsPending")
#: Larger numbers would lose digits in JavaScript.
MOST = 9_007_199_254_740_991

Message = Annotated[str, Field(max_length=500)]


_Count = Annotated[int, Field(ge=0, le=MOST), WHOLE]
_Step = Annotated[int, Field(ge=-MOST, le=MOST), WHOLE]


class Snapshot(Model):
    """The whole state of a job at one revision. Snapshots of the same revision are equal."""

    session_id: str
    total: int
    activated: int
    skipped: int
    failed: int
    emails_sent: int
    emails_failed: int
    emails_pending: int
    percentage: float = Field(description="the settled part without pending mails, rounded down to a tenth")
    rate: float = Field(description="parts a second, of the last half minute above all")
    eta_seconds: int | None = Field(description="expected time to the end; null while it is unknown")
    msg: str
    completed: bool = Field(description="true at the last revision")
    type: str
    revision: int = Field(description="only grows")
    created_at: Instant
    updated_at: Instant
    #: Not shown: the account that owns the job.
    owner: Account = Field(default=Account("", ""), exclude=True)


class Data(Model):
    """A snapshot as an answer."""

    success: bool = True
    data: Snapshot


class Increments(Model):
    """What is added to counters; a negative number is subtracted."""

    activated: _Step | None = None
    skipped: _Step | None = None
    failed: _Step | None = None
    emails_sent: _Step | None = None
    emails_failed: _Step | None = None
    emails_pending: _Step | None = None


class Write(Model):
    """The fields that change; all others stay. Counters are given as they are, or as *increments* with a key."""

    type: JobType | None = None
    total: _Count | None = None
    activated: _Count | None = None
    skipped: _Count | None = None
    failed: _Count | None = None
    emails_sent: _Count | None = None
    emails_failed: _Count | None = None
    emails_pending: _Count | None = None
    msg: Message | None = None
    completed: bool = Field(default=False, description="true ends the job, whatever its counters say")
    revision: _Count | None = Field(default=None, description="the expected revision; 0 for a new progress")
    increments: Increments | None = Field(default=None, description="needs an `Idempotency-Key`")

    @model_validator(mode="after")
    def _in_one_way(self) -> Self:
        given = self.values.keys() & set(COUNTERS)
        if self.increments is not None and (given or self.revision is not None):
            raise ValueError("must have either increments, or counters and revision")
        return self

    @property
    def values(self) -> dict[str, int | str]:
        """The fields that are set, by their names in the API."""
        return self.model_dump(exclude_none=True, exclude={"completed", "revision", "increments"})

    @property
    def steps(self) -> dict[str, int]:
        """The increments by counter."""
        return self.increments.model_dump(exclude_none=True) if self.increments else {}


class WaitQuery(Query):
    """The revision that the caller has, and how long the call may wait for a higher one."""

    since: Annotated[int, Field(ge=0, le=MOST)] | None = Field(default=None, description="the revision that you have")
    wait_ms: Annotated[int, Field(ge=0, le=25_000)] = Field(
        default=0, description="longest wait for a revision above `since`"
    )


class EventsQuery(Query):
    """The topics of a stream."""

    topics: Annotated[str, Field(min_length=1, max_length=4_000)] = Field(
        description="names with commas between: `progress:<sessionId>`, `approvals`, `inbox`"
    )


def snapshot_of(found: Mapping[str, Any]) -> Snapshot:
    """Return a stored document as a snapshot."""
    shown = {name: found[name] for name in _SHOWN}
    owner = Account(found["ownerName"], found["owner"])
    return Snapshot.model_validate({**shown, "sessionId": found["_id"], "owner": owner}, strict=False)


_SHOWN = tuple(
    field.alias for name, field in Snapshot.model_fields.items() if field.alias and name not in {"session_id", "owner"}
)
