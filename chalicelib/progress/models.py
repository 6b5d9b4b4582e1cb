"""Snapshots of jobs, and their shapes over HTTP (no I/O)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from chalicelib.core.models import Form, Instant, Model
from chalicelib.core.runtime.accounts import Account

#: The counters of a job beside its total. A part of the job is settled when activated, skipped or failed.
COUNTERS = ("activated", "skipped", "failed", "emailsSent", "emailsFailed", "emailsPending")
#: Larger numbers would lose digits in JavaScript.
MOST = 9_007_199_254_740_991

#: The id of a job, chosen by the caller. An id of dots alone would not be a path segment.
SessionId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$"),
    Form("must be 1 to 128 letters, digits, '.', '_' or '-', and not begin with '.'"),
]
JobType = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"),
    Form("must be 1 to 64 letters, digits, '.', '_' or '-', and not begin with '.'"),
]
Message = Annotated[str, Field(max_length=500)]


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
    owner: Account = Field(exclude=True)
    #: Not shown: when the progress expires.
    purge_at: datetime = Field(exclude=True)


def snapshot_of(found: Mapping[str, Any]) -> Snapshot:
    """Return a stored document as a snapshot."""
    shown = {name: found[name] for name in _SHOWN}
    owner = Account(found["ownerName"], found["owner"])
    return Snapshot.model_validate({**shown, "sessionId": found["_id"], "owner": owner}, strict=False)


_SHOWN = tuple(
    field.alias for name, field in Snapshot.model_fields.items() if field.alias and name not in {"session_id", "owner"}
)
