"""Entries of the ledger, and the hashes that chain the entries (no I/O).

The hash is SHA-256 over the canonical JSON (RFC 8785) of the entry without the field ``hash``, but with the hash of the
previous entry. So an altered, moved or removed entry breaks the chain. The hash uses no secret, so
anyone can check the chain.
"""

import hashlib
from typing import Literal, NamedTuple

from pydantic import Field

from chalicelib.core.models import Model
from chalicelib.core.records.models import packed
from chalicelib.core.web.models import Query

Kind = Literal["disbursement"]

#: The previous hash of the first entry.
GENESIS = "0" * 64


class Movement(NamedTuple):
    """A movement of money for an application. The amount is in the smallest unit of the currency."""

    kind: Kind
    application_id: str
    amount_minor: int
    currency: str


class Head(NamedTuple):
    """The last entry of a chain: sequence number, hash and time. An empty chain has sequence number 0."""

    seq: int
    hash: str
    at: str = ""


EMPTY = Head(0, GENESIS)


class Entry(Model):
    """One entry, as stored and in answers."""

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
        """The correct hash of the entry, computed from the other fields."""
        return hashlib.sha256(packed(self.model_dump(exclude={"hash"})).encode()).hexdigest()

    def follows(self, head: Head) -> bool:
        """Return whether the entry is the successor of *head* and unaltered."""
        return (self.seq, self.previous_hash, self.hash) == (head.seq + 1, head.hash, self.seal)

    @property
    def head(self) -> Head:
        """The head of a chain that ends with this entry."""
        return Head(self.seq, self.hash, self.at)


def entry(head: Head, movement: Movement, at: str) -> Entry:
    """Return the sealed entry of *movement* after *head*: at the time *at*, or at that of *head* if that is later."""
    unsealed = Entry(seq=head.seq + 1, at=max(at, head.at), previous_hash=head.hash, **movement._asdict())
    return unsealed.model_copy(update={"hash": unsealed.seal})


class VerifyQuery(Query):
    """Where to continue."""

    cursor: str | None = Field(
        default=None, min_length=1, max_length=1024, description="`nextCursor` of the call before"
    )


class Verified(Model):
    """The result of verification so far. `nextCursor` is null if all entries were verified or the chain is broken."""

    ok: bool
    entries: int = Field(description="valid entries so far, including earlier calls")
    head_hash: str
    first_broken_seq: int | None
    next_cursor: str | None
