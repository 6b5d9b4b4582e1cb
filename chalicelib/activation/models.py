"""Lists of leads, chunks, and leads with their outcomes, and their shapes over HTTP (no I/O)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import ConfigDict, Field

from chalicelib.core.models import Instant, JobType, Model, SessionId
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.models import PageQuery

MOST_LEADS = 10_000
#: The leads whose users one transaction makes. A worker that dies repeats one chunk.
CHUNK = 50
#: The body of 10,000 leads with long names.
MOST_BODY_BYTES = 5_000_000


class State(StrEnum):
    """Whether an activation is being worked on."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """How a lead has ended. Mails that came back change the outcome of activated leads."""

    ACTIVATED = "activated"
    SKIPPED = "skipped"
    FAILED = "failed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class Mail(StrEnum):
    """How far the mail of an activated lead has come."""

    PENDING = "pending"
    #: The mail service is being asked; a crash leaves the mail so, and a sweep counts it as failed.
    ASKING = "asking"
    SENT = "sent"
    FAILED = "failed"


#: The reason of a mail of which nobody knows whether the mail service has sent it.
UNCERTAIN = "uncertain"


class NewLead(Model):
    """A lead. Further fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    email: Annotated[str, Field(min_length=1, max_length=320, description="address; the username in lower case")]
    name: Annotated[str, Field(max_length=200, description="how a mail addresses the person")] = ""


class NewActivation(Model):
    """Request to activate leads."""

    session_id: SessionId | None = Field(default=None, description="id of the progress; one is made if absent")
    leads: Annotated[list[NewLead], Field(min_length=1, max_length=MOST_LEADS)]
    type: JobType = "activation"


class Accepted(Model):
    """A new activation. Leads with the same address are one lead in *total*."""

    session_id: str
    total: int


class LeadQuery(PageQuery):
    """The filter of a list of leads."""

    outcome: Outcome | None = Field(default=None, description="only leads with this outcome")


class ShownLead(Model):
    """A settled lead."""

    email: str
    name: str
    username: str | None
    outcome: Outcome
    reason: str | None
    mail: Mail | None
    settled_at: Instant
    #: Not shown: the position in the list.
    position: str = Field(default="", exclude=True)


class Lead(NamedTuple):
    """A lead that waits. *made_by* is the operation that makes the user: the lead's own, or an earlier lead's."""

    place: int
    email: str
    name: str
    made_by: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Leads of an activation, claimed by a worker. A lost claim settles nothing."""

    chunk_id: str
    session_id: str
    claim: str
    leads: tuple[Lead, ...]


class Settled(NamedTuple):
    """A lead and its outcome; an activated lead has a user."""

    lead: Lead
    outcome: Outcome
    username: str | None = None
    account_id: str | None = None
    reason: str | None = None


class Letter(NamedTuple):
    """A mail that this worker alone may ask for."""

    lead_id: str
    session_id: str
    claim: str
    email: str
    name: str
    account: Account


def unique(leads: Iterable[NewLead]) -> list[NewLead]:
    """Return the first lead of each address, whatever its case, in order."""
    return list({lead.email.strip().lower(): lead for lead in reversed(list(leads))}.values())[::-1]


def lead_id(session_id: str, place: int) -> str:
    """Return the id of a lead, in the order of places."""
    return f"{session_id}/{place:05}"


def chunks(leads: Sequence[Lead]) -> Iterator[tuple[Lead, ...]]:
    """Yield *leads* in chunks."""
    return (tuple(leads[start : start + CHUNK]) for start in range(0, len(leads), CHUNK))


def shown(found: Mapping[str, Any]) -> ShownLead:
    """Return a stored lead."""
    fields = {name: found[name] for name in ("email", "name", "username", "outcome", "reason", "settledAt")}
    # A mail that is being asked for has not been sent yet, as far as anybody can tell.
    mail = Mail.PENDING if found["mail"] == Mail.ASKING else found["mail"]
    return ShownLead.model_validate({**fields, "mail": mail, "position": found["_id"]}, strict=False)
