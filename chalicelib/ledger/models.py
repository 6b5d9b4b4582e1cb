"""What an entry of the ledger is, and how it seals all before it (no I/O).

The hash is SHA-256 over the entry without it, as canonical JSON (RFC 8785); the hash of the entry before is part of
that. So an entry that was altered, moved or taken away breaks the chain, and anyone may compute it.
"""

import hashlib
from typing import Literal, NamedTuple

from pydantic import Field

from chalicelib.core.models import Model
from chalicelib.core.records.models import packed
from chalicelib.core.web.models import Query

Kind = Literal["disbursement"]

#: What the first entry has before it.
GENESIS = "0" * 64


class Movement(NamedTuple):
    """Money that moves for an application: how much of which currency, in its smallest unit."""

    kind: Kind
    application_id: str
    amount_minor: int
    currency: str


class Head(NamedTuple):
    """The last entry: its place in the chain, 0 while there is none, and its hash."""

    seq: int
    hash: str


EMPTY = Head(0, GENESIS)


class Entry(Model):
    """One entry, as it is kept and as it is shown."""

    seq: int
    at: str = Field(json_schema_extra={"format": "date-time"})
    kind: Kind
    application_id: str
    amount_minor: int
    currency: str
    previous_hash: str
    hash: str = ""

    @property
    def seal(self) -> str:
        """The hash that this entry must have."""
        return hashlib.sha256(packed(self.model_dump(exclude={"hash"})).encode()).hexdigest()

    def follows(self, head: Head) -> bool:
        """Whether this is what comes behind *head*, and is as it was written."""
        return (self.seq, self.previous_hash, self.hash) == (head.seq + 1, head.hash, self.seal)


def entry(head: Head, movement: Movement, at: str) -> Entry:
    """Return the entry of *movement* behind *head*."""
    open_ = Entry(seq=head.seq + 1, at=at, previous_hash=head.hash, **movement._asdict())
    return open_.model_copy(update={"hash": open_.seal})


class VerifyQuery(Query):
    """Where to go on."""

    cursor: str | None = Field(
        default=None, min_length=1, max_length=1024, description="`nextCursor` of the call before"
    )


class Verified(Model):
    """What the chain was found to be, so far: `nextCursor` is null when all of it was looked at, or it is broken."""

    ok: bool
    entries: int = Field(description="entries found whole, those of the calls before included")
    head_hash: str
    first_broken_seq: int | None
    next_cursor: str | None
