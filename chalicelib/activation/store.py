"""Activations, and the chunks of leads that wait for a worker, in two MongoDB collections.

An activation counts its waiting chunks and its pending mails, so that one query finds the activation whose turn is
next: the one that was served the longest ago. A chunk is claimed for a time; a chunk whose worker died is taken over
before any other, also of a paused or cancelled activation, so that no lead stays half-done.

The transaction that completes the progress writes the outbox entry of the event (`completion`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pymongo
from pymongo import ASCENDING, IndexModel, ReturnDocument

from chalicelib import progress
from chalicelib.activation.models import Chunk, Lead, State, chunks
from chalicelib.core.queueing import entries, outbox
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.progress import Snapshot

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

#: The longest transaction: 10,000 leads on a busy machine.
TRANSACTION_SECONDS = 8
_MINE = {"$exists": True}
#: The outbox entry of the event.
TELL = "tell"
ACTIVATION_INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("servedAt", ASCENDING)], name="waiting", partialFilterExpression={"chunks": {"$gt": 0}}),
    IndexModel([("mailedAt", ASCENDING)], name="mailing", partialFilterExpression={"mails": {"$gt": 0}}),
    outbox.INDEX,
]
CHUNK_INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("session", ASCENDING), ("claim", ASCENDING), ("_id", ASCENDING)], name="next"),
    IndexModel([("claimedUntil", ASCENDING)], name="abandoned", partialFilterExpression={"claimedUntil": _MINE}),
]


class New(NamedTuple):
    """An activation to begin. *operation* is shared by the retries of the call."""

    session_id: str
    owner: Account
    type: str
    leads: Sequence[Lead]
    operation: str


class Activation(NamedTuple):
    """Whose an activation is."""

    session_id: str
    owner: Account
    type: str


class Untold(NamedTuple):
    """A completed activation whose event waits. *text* is the last snapshot, as JSON."""

    session_id: str
    created_at: datetime
    completed_at: datetime
    text: str


class ActivationStore:
    """Activations by session id, and their waiting chunks. Leads are kept for *leads_days*."""

    def __init__(self, database: "Database[dict[str, Any]]", leads_days: int) -> None:
        self._client, self._kept = database.client, timedelta(days=leads_days)
        self._activations, self._chunks = database.activations, database.activation_chunks

    def begin(self, new: New, also: Any = None) -> Snapshot:
        """Begin progress and activation, with all chunks, in one transaction. Safe to repeat under one operation.

        *also* is called with the session of the transaction, for writes that belong to the beginning.

        Raises:
            ProgressExists: the id is in use, by progress or by leads that are still kept.
        """

        def insert(session: "ClientSession") -> Snapshot:
            known = self._activations.find_one({"_id": new.session_id}, session=session)
            if known and known["operation"] != new.operation:
                raise progress.ProgressExists
            if known:
                return progress.get(new.session_id)
            snapshot = progress.begin(
                new.session_id,
                new.owner,
                new.type,
                len(new.leads),
                operation=new.operation,
                # Paused, or without its mail service, an activation may rest for days.
                kept_ms=round(self._kept.total_seconds() * 1000),
                session=session,
            )
            self._insert(new, snapshot.created_at, session)
            if also:
                also(session)
            return snapshot

        with reaching_mongodb(), pymongo.timeout(TRANSACTION_SECONDS), self._client.start_session() as session:
            return session.with_transaction(insert)

    def get(self, session_id: str) -> Activation | None:
        """Return the activation, or None if there is none."""
        with reaching_mongodb():
            found = self._activations.find_one({"_id": session_id, "$expr": {"$gt": ["$purgeAt", "$$NOW"]}})
        if found is None:
            return None
        return Activation(session_id, Account(found["ownerName"], found["owner"]), found["type"])

    def total(self, operation: str) -> int | None:
        """Return the number of leads of the activation that *operation* has begun, or None."""
        with reaching_mongodb():
            found = self._activations.find_one({"_id": operation, "operation": operation}, {"total": 1})
        return found["total"] if found else None

    def change(self, session_id: str, wanted: State) -> bool:
        """Pause or resume; return False if the activation is cancelled. Atomic, and safe to repeat."""
        query = {"_id": session_id, "state": {"$ne": State.CANCELLED}}
        with reaching_mongodb():
            return self._activations.update_one(query, {"$set": {"state": wanted}}).matched_count == 1

    def cancel(self, session_id: str) -> Snapshot:
        """Drop every chunk that no worker has begun, in one transaction. Begun chunks and pending mails are completed.

        Raises:
            ProgressNotFound, ProgressCompleted: the activation is over.
        """

        def drop(session: "ClientSession") -> Snapshot:
            # The first write of every transaction: others wait for it, or begin anew.
            snapshot = progress.move(session_id, {}, msg="cancelled", session=session)
            dropped = self._chunks.delete_many({"session": session_id, "claim": None}, session=session).deleted_count
            self._activations.update_one(
                {"_id": session_id},
                {"$set": {"state": State.CANCELLED}, "$inc": {"chunks": -dropped}},
                session=session,
            )
            return self.end_if_over(session_id, session) or snapshot

        with reaching_mongodb(), pymongo.timeout(TRANSACTION_SECONDS), self._client.start_session() as session:
            snapshot = session.with_transaction(drop)
        progress.announce(session_id)
        return snapshot

    def end_if_over(self, session_id: str, session: "ClientSession") -> Snapshot | None:
        """Complete the progress of a cancelled activation without chunks and mails; part of a transaction."""
        over = {"_id": session_id, "state": State.CANCELLED, "chunks": {"$lte": 0}, "mails": {"$lte": 0}}
        if self._activations.find_one(over, {"_id": 1}, session=session) is None:
            return None
        return self.count(session_id, {}, session, completed=True)

    def count(
        self, session_id: str, increments: Mapping[str, int], session: "ClientSession", *, completed: bool = False
    ) -> Snapshot | None:
        """Move the counters of the progress; part of a transaction. A completion writes the entry of its event.

        Return None if the progress is completed or has expired, and counts no more.
        """
        try:
            snapshot = progress.move(session_id, increments, completed=completed, session=session)
        except (progress.ProgressCompleted, progress.ProgressNotFound):
            return None
        if snapshot.completed:
            last = {"at": snapshot.updated_at, "text": {"$literal": snapshot.model_dump_json()}}
            noted = {"last": last, "outbox": [entries.entry(TELL, "$$NOW")]}
            self._activations.update_one({"_id": session_id}, [{"$set": noted}, *entries.kept()], session=session)
        return snapshot

    def untold(self) -> list[Untold]:
        """Return the completed activations whose event waits."""
        with reaching_mongodb():
            found = list(self._activations.find({"outbox.due": {"$exists": True}}, {"createdAt": 1, "last": 1}))
        return [Untold(each["_id"], each["createdAt"], each["last"]["at"], each["last"]["text"]) for each in found]

    def next_chunk(self, lease_ms: int) -> Chunk | None:
        """Claim a chunk for *lease_ms*, or return None if no chunk waits. Atomic.

        A chunk of a dead worker comes first, then one of the running activation that was served the longest ago.
        """
        if chunk := self._claim({"claimedUntil": {"$exists": True}, "$expr": _LAPSED}, lease_ms):
            return chunk
        tried: list[str] = []
        while session_id := self._next(tried):
            if chunk := self._claim({"session": session_id, "claim": None}, lease_ms):
                return chunk
            tried.append(session_id)
        return None

    def has_chunks(self) -> bool:
        """Return whether a worker would find a chunk."""
        query = {"state": State.RUNNING, "chunks": {"$gt": 0}}
        with reaching_mongodb():
            return bool(
                self._activations.find_one(query, {"_id": 1})
                or self._chunks.find_one({"claimedUntil": {"$exists": True}}, {"_id": 1})
            )

    def oldest(self) -> datetime | None:
        """Return since when the oldest running activation with chunks has waited for its turn, or None."""
        query = {"state": State.RUNNING, "chunks": {"$gt": 0}}
        with reaching_mongodb():
            found = self._activations.find_one(query, {"servedAt": 1}, sort=[("servedAt", ASCENDING)])
        return found["servedAt"] if found else None

    def _next(self, tried: Sequence[str]) -> str | None:
        query = {"state": State.RUNNING, "chunks": {"$gt": 0}, "_id": {"$nin": list(tried)}}
        with reaching_mongodb():
            found = self._activations.find_one_and_update(
                query, [{"$set": {"servedAt": "$$NOW"}}], {"_id": 1}, sort=[("servedAt", ASCENDING)]
            )
        return found["_id"] if found else None

    def _claim(self, query: dict[str, Any], lease_ms: int) -> Chunk | None:
        claim = ids.new_id()
        change = {"claim": claim, "claimedUntil": {"$add": ["$$NOW", lease_ms]}}
        with reaching_mongodb():
            found = self._chunks.find_one_and_update(
                query, [{"$set": change}], sort=[("_id", ASCENDING)], return_document=ReturnDocument.AFTER
            )
        if found is None:
            return None
        return Chunk(found["_id"], found["session"], claim, tuple(Lead(*each) for each in found["leads"]))

    def _insert(self, new: New, now: datetime, session: "ClientSession") -> None:
        purge_at = now + self._kept
        documents = [
            {
                "_id": f"{new.session_id}/{number:04}",
                "session": new.session_id,
                "leads": [list(lead) for lead in chunk],
                "claim": None,
                "purgeAt": purge_at,
            }
            for number, chunk in enumerate(chunks(new.leads))
        ]
        activation = {
            "_id": new.session_id,
            "owner": new.owner.account_id,
            "ownerName": new.owner.username,
            "type": new.type,
            "operation": new.operation,
            "state": State.RUNNING,
            "total": len(new.leads),
            "chunks": len(documents),
            "mails": 0,
            "servedAt": now,
            "mailedAt": now,
            "createdAt": now,
            "purgeAt": purge_at,
        }
        self._activations.insert_one(activation, session=session)
        self._chunks.insert_many(documents, session=session)


_LAPSED = {"$lt": ["$claimedUntil", "$$NOW"]}
