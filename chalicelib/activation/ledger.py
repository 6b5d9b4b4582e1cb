"""Leads with their outcomes, in one MongoDB collection. One transaction moves outcomes and counters of a chunk.

A chunk that comes again, or whose claim another worker has taken over, settles nothing and counts nothing.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import ASCENDING, IndexModel

from chalicelib import progress
from chalicelib.activation.models import Chunk, Lead, Mail, Outcome, Settled, ShownLead, lead_id, shown
from chalicelib.activation.store import TRANSACTION_SECONDS, ActivationStore
from chalicelib.core.stores.driver_errors import reaching_mongodb

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("session", ASCENDING), ("outcome", ASCENDING), ("_id", ASCENDING)], name="by-outcome"),
    IndexModel([("session", ASCENDING), ("_id", ASCENDING)], name="in-order"),
    IndexModel(
        [("session", ASCENDING), ("_id", ASCENDING)],
        name="unsent",
        partialFilterExpression={"mail": Mail.PENDING.value},
    ),
    IndexModel([("askedAt", ASCENDING)], name="asking", partialFilterExpression={"mail": Mail.ASKING.value}),
    IndexModel([("mailId", ASCENDING)], name="by-mail", partialFilterExpression={"mailId": {"$exists": True}}),
]
_FAILED = {"$or": [{"outcome": Outcome.FAILED}, {"mail": Mail.FAILED}]}


class Ledger:
    """Settled leads, by activation and place. Leads are kept for *leads_days*."""

    def __init__(self, database: "Database[dict[str, Any]]", activations: ActivationStore, leads_days: int) -> None:
        self._client, self._kept = database.client, timedelta(days=leads_days)
        self._own, self._chunks, self._leads = database.activations, database.activation_chunks, database.leads
        self._activations = activations

    def settle(self, chunk: Chunk, settled: Sequence[Settled]) -> bool:
        """Store the outcomes of *chunk* and count them, in one transaction; return False if the claim was lost.

        An activated lead has a pending mail from then on.
        """

        def write(session: "ClientSession") -> bool:
            held = {"_id": chunk.chunk_id, "claim": chunk.claim}
            if self._chunks.delete_one(held, session=session).deleted_count == 0:
                return False
            counts = Counter(each.outcome.value for each in settled)
            activated = counts[Outcome.ACTIVATED.value]
            self._leads.insert_many(self._documents(chunk.session_id, settled), session=session)
            self._own.update_one(
                {"_id": chunk.session_id}, {"$inc": {"chunks": -1, "mails": activated}}, session=session
            )
            self._activations.count(chunk.session_id, {**counts, "emailsPending": activated}, session)
            self._activations.end_if_over(chunk.session_id, session)
            return True

        with reaching_mongodb(), pymongo.timeout(TRANSACTION_SECONDS), self._client.start_session() as session:
            done = session.with_transaction(write)
        progress.announce(chunk.session_id)
        return done

    def page(self, session_id: str, outcome: Outcome | None, limit: int, after: str | None) -> list[ShownLead]:
        """Return up to *limit* settled leads after the position *after*, in the order of the list."""
        query: dict[str, Any] = {"session": session_id, "$expr": {"$gt": ["$purgeAt", "$$NOW"]}}
        query |= {"outcome": outcome} if outcome else {}
        query |= {"_id": {"$gt": after}} if after else {}
        with reaching_mongodb():
            return [shown(found) for found in self._leads.find(query, sort=[("_id", ASCENDING)], limit=limit)]

    def failed(self, session_id: str) -> list[Lead]:
        """Return the leads that failed, or whose mail failed, and that no later activation has."""
        query = {"session": session_id, "retriedBy": None, **_FAILED}
        with reaching_mongodb():
            found = list(self._leads.find(query, sort=[("_id", ASCENDING)]))
        return [Lead(place, each["email"], each["name"], each["madeBy"]) for place, each in enumerate(found)]

    def mark_retried(self, session_id: str, by: str, session: "ClientSession") -> int:
        """Mark the leads of `failed` as leads of the activation *by*; part of a transaction. Return how many."""
        query = {"session": session_id, "retriedBy": None, **_FAILED}
        return self._leads.update_many(query, {"$set": {"retriedBy": by}}, session=session).modified_count

    def _documents(self, session_id: str, settled: Sequence[Settled]) -> list[dict[str, Any]]:
        now = datetime.now(UTC)
        return [
            {
                "_id": lead_id(session_id, each.lead.place),
                "session": session_id,
                "email": each.lead.email,
                "name": each.lead.name,
                "madeBy": each.lead.made_by,
                "username": each.username,
                "account": each.account_id,
                "outcome": each.outcome,
                "reason": each.reason,
                "mail": Mail.PENDING if each.outcome is Outcome.ACTIVATED else None,
                "retriedBy": None,
                "settledAt": now,
                "purgeAt": now + self._kept,
            }
            for each in settled
        ]
