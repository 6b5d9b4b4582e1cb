"""Stores requests in one MongoDB collection. One atomic update of the document decides each transition.

`transitions` has the conditions and updates. `ApprovalStore` runs the updates, and returns models or raises the slice's
errors.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument
from pymongo.errors import DuplicateKeyError

from chalicelib.approvals import counts, transitions
from chalicelib.approvals.documents import Listed, already_done, from_document, listed, require_offered
from chalicelib.approvals.errors import AlreadyAnswered, ApprovalNotFound, NothingPending
from chalicelib.approvals.models import NewApproval, Seen, Status
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.transitions import AS_LISTED, AS_SEEN, IN_TIME, KEPT, OVERDUE, PENDING, STORED, Pipeline
from chalicelib.core.errors import NotYours
from chalicelib.core.queueing import lanes, outbox
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores import newest
from chalicelib.core.stores.driver_errors import reaching_mongodb

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    # Lists are in the order of the server's clock; an id has the time of the process that made the id.
    IndexModel([("createdAt", DESCENDING), ("_id", DESCENDING)], name="newest"),
    IndexModel([("accounts", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)], name="newest-of-account"),
    IndexModel([("status", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)], name="newest-of-status"),
    IndexModel(
        [("accounts", ASCENDING), ("createdAt", ASCENDING), ("_id", ASCENDING)],
        name="pending-of-account",
        partialFilterExpression=PENDING,
    ),
    counts.INDEX,
    IndexModel([("expiresAt", ASCENDING)], name="pending-by-expiry", partialFilterExpression=PENDING),
    # An operation answers or cancels at most one request, however often the call is repeated.
    IndexModel(
        [("operations", ASCENDING)], name="done-once", unique=True, partialFilterExpression={"operations": {"$gt": ""}}
    ),
    outbox.INDEX,
    *lanes.INDEXES,
]

_HOUR_MS = 3_600_000
_NEWEST_FIRST, _OLDEST_FIRST = newest.newest_first(), newest.oldest_first()


class ApprovalStore:
    """Requests by id, by account and by status."""

    def __init__(
        self, collection: Collection[dict[str, Any]], settings: ApprovalSettings, instance: str = ids.INSTANCE_ID
    ) -> None:
        """Make a store. *instance* is the name of this process, which requests keep."""
        self._approvals, self._instance = collection, instance
        self._kept_ms = settings.readable_hours * _HOUR_MS

    def put(self, request_id: str, new: NewApproval, created_by: Account, known: Mapping[str, str]) -> Seen:
        """Store a new request under *request_id*. Safe to repeat: an existing request with the id stays unchanged.

        *known* has the account id of each person named by *new*.
        """
        pipeline = transitions.created(new, created_by, known, self._kept_ms, instance=self._instance)
        with reaching_mongodb():
            found: Any = self._approvals.find_one_and_update(
                {"_id": request_id}, pipeline, AS_SEEN, upsert=True, return_document=ReturnDocument.AFTER
            )
        return self._final(found)

    def get(self, request_id: str) -> Seen:
        """Return the current state of the request. A returned final state never changes: a timeout is recorded first.

        Raises:
            ApprovalNotFound: there is no such request, or the request is no longer kept.
        """
        return self._read(request_id, KEPT)

    def stored(self, request_id: str) -> Seen:
        """Return the current state of the request as `get` does, for a worker: also after the time of callers.

        Raises:
            ApprovalNotFound: there is no such request, or the request is no longer kept.
        """
        return self._read(request_id, STORED)

    def settled(self, request_id: str) -> Seen | None:
        """Return the request if a final state is recorded, else None. The cheapest poll: a hit reads twice."""
        with reaching_mongodb():
            # Polled often, so the query returns only an id; the whole request is read once, after the hit.
            found = self._approvals.find_one({"_id": request_id, "status": {"$ne": Status.PENDING.value}}, {"_id": 1})
        return self.get(request_id) if found else None

    def page(self, account_id: str | None, status: Status | None, limit: int, after: str | None) -> Iterator[Listed]:
        """Yield up to *limit* requests older than the position *after*, newest first by the server's clock.

        With *account_id*, only requests that the account may answer. Reads no more batches than the caller takes. A
        yielded final state never changes: an update records the page's timeouts first.
        """
        query = transitions.narrowed(status) | ({"accounts": account_id} if account_id else {})
        while limit:
            rest = query | (newest.older_than(after) if after else {})
            with reaching_mongodb(), self._approvals.find(rest, AS_LISTED, sort=_NEWEST_FIRST, limit=limit) as found:
                for each in found:
                    if each["unrecorded"]:
                        break
                    item = listed(each)
                    after, limit = item.position, limit - 1
                    yield item
                else:
                    return
            self._expire_first(rest, limit)

    def count(self, account_id: str | None) -> counts.Counts:
        """Return the number of kept requests of each state, up to `counts.MOST` each. Bounded work, one round trip.

        With *account_id*, only requests that the account may answer. Each number is exact by the server's clock.
        """
        with reaching_mongodb(), self._approvals.aggregate(counts.pipeline(self._approvals.name, account_id)) as found:
            return counts.read(found)

    def done_by(self, operation_id: str) -> Seen | None:
        """Return the request answered or cancelled by operation *operation_id*, or None."""
        with reaching_mongodb():
            found = self._approvals.find_one({"operations": operation_id, "$expr": KEPT}, AS_SEEN)
        return self._final(found) if found else None

    def resolve(self, request_id: str, action: str, by: Account, operation_id: str, *, anyone: bool = False) -> Seen:
        """Add the answer of *by*, and settle the request if the answer decides. Atomic; each person counts once.

        Safe to repeat under the same *operation_id*. With *anyone*, people who were not asked may answer.

        Raises:
            ApprovalNotFound: there is no such request, or the request is no longer kept.
            NotYours: *by* was not asked.
            ActionNotOffered: the request is unchanged.
            AlreadyAnswered: *by* has answered before, for whomever, or was answered for; other answers are awaited.
            AlreadySettled: the request was resolved, cancelled or overdue.
        """
        asked = {"_id": request_id} if anyone else {"_id": request_id, "accounts": by.account_id}
        if found := self._answer(asked, by, by, action, operation_id):
            return require_offered(found, operation_id)
        seen = self.get(request_id)
        if not anyone and by.account_id not in seen.accounts:
            raise NotYours
        return already_done(seen, operation_id)

    def resolve_oldest(self, person: Account, action: str, by: Account, operation_id: str) -> Seen:
        """Answer for *person*, as *by*, the oldest pending request that neither has answered. Atomic.

        The oldest by the server's clock. *by* is *person*, or an administrator, who counts once in each request.

        An operation never answers a second request; `done_by` returns the request that an earlier attempt answered.

        Raises:
            NothingPending: *person* has no request left to answer.
            AlreadyAnswered: *person* has, but *by* has answered each, for others.
            ActionNotOffered: the request is unchanged.
        """
        try:
            found = self._answer({"accounts": person.account_id}, person, by, action, operation_id)
        except DuplicateKeyError:
            # An earlier write of the same operation, believed lost, has arrived meanwhile.
            if done := self.done_by(operation_id):
                return done
            raise
        if found is None:
            raise AlreadyAnswered if self._unanswered(person) else NothingPending
        return require_offered(found, operation_id)

    def cancel(self, request_id: str, by: Account, operation_id: str, *, anyone: bool = False) -> Seen:
        """Cancel the request of *by*, or with *anyone* any request. Atomic: the first update to settle wins.

        Safe to repeat under the same *operation_id*.

        Raises:
            ApprovalNotFound: there is no such request, or the request is no longer kept.
            NotYours: another account than *by* made the request.
            AlreadySettled: the request was resolved, cancelled or overdue.
        """
        query = {"_id": request_id, "$expr": IN_TIME} | ({} if anyone else {"createdByAccount": by.account_id})
        if found := self._update(
            query, transitions.cancelled(by, operation_id, self._kept_ms, instance=self._instance)
        ):
            return from_document(found)
        seen = self.get(request_id)
        if not anyone and seen.created_by != by.account_id:
            raise NotYours
        return already_done(seen, operation_id)

    def admit(self, request_id: str, person: Account, step: int) -> Seen | None:
        """Let *person*, of escalation *step*, answer too, and return the request; None if no longer pending.

        Atomic. Safe to repeat. The same update adds the outbox entry that notifies *person*.
        """
        found = self._update({"_id": request_id, "$expr": IN_TIME}, transitions.admitted(person, step))
        return from_document(found) if found else None

    def expire(self, request_id: str) -> Seen:
        """Record the timeout if the request is overdue, and return the current state of the request.

        Raises:
            ApprovalNotFound: there is no such request, or the request is no longer kept.
        """
        found = self._update({"_id": request_id, "$expr": OVERDUE}, transitions.timed_out(self._kept_ms))
        return from_document(found) if found else self.stored(request_id)

    def expire_all(self) -> int:
        """Record the timeout of every overdue request. Return how many. A sweep dispatches the outbox entries."""
        with reaching_mongodb():
            done = self._approvals.update_many(
                {**PENDING, "$expr": OVERDUE}, transitions.timed_out(self._kept_ms, dispatched=False)
            )
        return done.modified_count

    def take(self, request_id: str, effect: str) -> Seen:
        """Return the request for the worker of *effect*, and hold the outbox entry of *effect* for the worker.

        Raises:
            ApprovalNotFound: there is no such request, or the request is no longer kept.
        """
        with reaching_mongodb():
            found = self._approvals.find_one_and_update(
                {"_id": request_id, "$expr": STORED},
                transitions.held(effect),
                AS_SEEN,
                return_document=ReturnDocument.AFTER,
            )
        if found is None:
            raise ApprovalNotFound
        return self._final(found)

    def next_expiry(self) -> datetime | None:
        """Return the earliest ``expiresAt`` of a pending request, overdue or not; None if nothing is pending."""
        with reaching_mongodb():
            first = self._approvals.find_one(PENDING, {"expiresAt": 1}, sort=[("expiresAt", ASCENDING)])
        return first["expiresAt"] if first else None

    def _expire_first(self, query: dict[str, Any], limit: int) -> None:
        """Record the timeout of the overdue requests among the newest *limit* of *query*."""
        overdue = {"$and": [query, PENDING, {"$expr": OVERDUE}]}
        with reaching_mongodb():
            found = self._approvals.find(overdue, {"_id": 1}, sort=_NEWEST_FIRST, limit=limit)
            chosen = {"_id": {"$in": [each["_id"] for each in found]}, **PENDING, "$expr": OVERDUE}
            self._approvals.update_many(chosen, transitions.timed_out(self._kept_ms, dispatched=False))

    def _read(self, request_id: str, there: dict[str, Any]) -> Seen:
        with reaching_mongodb():
            found = self._approvals.find_one({"_id": request_id, "$expr": there}, AS_SEEN)
        if found is None:
            raise ApprovalNotFound
        return self._final(found)

    def _final(self, found: dict[str, Any]) -> Seen:
        """Return the request as read; if overdue, record the timeout first, and return the state after the update.

        An update takes its ``$$NOW`` on arrival, so an answer in time may not have reached the document yet.
        """
        return self.expire(found["_id"]) if found["unrecorded"] else from_document(found)

    def _unanswered(self, person: Account) -> bool:
        """Return whether *person* has a pending request left to answer. Explains a refused update; decides nothing."""
        query = {"accounts": person.account_id, **PENDING, **transitions.unanswered_by(person), "$expr": IN_TIME}
        with reaching_mongodb():
            return self._approvals.find_one(query, {"_id": 1}) is not None

    def _answer(
        self, asked: dict[str, Any], person: Account, by: Account, action: str, operation_id: str
    ) -> dict[str, Any] | None:
        """Answer the oldest matching request, if the request offers *action*. Return the request in either case."""
        query = {**asked, **transitions.unanswered_by(person, by), "$expr": IN_TIME}
        given = person, by, action, operation_id, self._kept_ms
        return self._update(query, transitions.answered(*given, instance=self._instance))

    def _update(self, query: dict[str, Any], pipeline: Pipeline) -> dict[str, Any] | None:
        """Update the oldest pending request that matches *query*; return the updated document, or None."""
        with reaching_mongodb():
            found: dict[str, Any] | None = self._approvals.find_one_and_update(
                {**query, **PENDING},
                pipeline,
                AS_SEEN,
                sort=_OLDEST_FIRST,
                return_document=ReturnDocument.AFTER,
            )
        return found
