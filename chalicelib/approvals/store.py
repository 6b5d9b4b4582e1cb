"""Where requests live: one MongoDB collection; one atomic update of the document decides what becomes of it.

What is decided stands in `decide`; here it is asked for, and what comes back is told in this slice's words.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument
from pymongo.errors import DuplicateKeyError

from chalicelib.approvals import transitions
from chalicelib.approvals.errors import (
    ActionNotOffered,
    AlreadyAnswered,
    AlreadySettled,
    ApprovalNotFound,
    NothingPending,
)
from chalicelib.approvals.models import Approval, NewApproval, Seen, Status
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.transitions import AS_SEEN, IN_TIME, KEPT, OVERDUE, PENDING, Pipeline
from chalicelib.core.errors import Forbidden
from chalicelib.core.queueing import entries, outbox
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.core.web.paging import PAGE_BYTES

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("people", ASCENDING), ("_id", DESCENDING)]),
    IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
    IndexModel([("people", ASCENDING), ("_id", ASCENDING)], name="pending-of-user", partialFilterExpression=PENDING),
    IndexModel([("expiresAt", ASCENDING)], name="pending-by-expiry", partialFilterExpression=PENDING),
    # An operation answers or cancels one request, however often its call is repeated.
    IndexModel(
        [("operations", ASCENDING)], name="done-once", unique=True, partialFilterExpression={"operations": {"$gt": ""}}
    ),
    outbox.INDEX,
]

_HOUR_MS = 3_600_000


class ApprovalStore:
    """Requests by id, by user and by what has become of them."""

    def __init__(self, collection: Collection[dict[str, Any]], settings: ApprovalSettings) -> None:
        self._approvals = collection
        self._kept_ms = settings.readable_hours * _HOUR_MS

    def put(self, request_id: str, new: NewApproval, created_by: str) -> Seen:
        """Keep a new request under *request_id*. Safe to repeat: what stands under that id already is left alone."""
        pipeline = transitions.created(new, created_by, self._kept_ms)
        with reaching_mongodb():
            found: Any = self._approvals.find_one_and_update(
                {"_id": request_id}, pipeline, AS_SEEN, upsert=True, return_document=ReturnDocument.AFTER
            )
        return self._lasting(found)

    def get(self, request_id: str) -> Seen:
        """Return the request as it is now, and as it stays once it is settled.

        Raises:
            ApprovalNotFound: there is none, or it is no longer kept.
        """
        with reaching_mongodb():
            found = self._approvals.find_one({"_id": request_id, "$expr": KEPT}, AS_SEEN)
        if found is None:
            raise ApprovalNotFound
        return self._lasting(found)

    def settled(self, request_id: str) -> Seen | None:
        """Return the request once its final state is recorded, else None: the cheapest look there is."""
        with reaching_mongodb():
            # Asked again and again, so it says no more than yes; what is seen is asked for once.
            found = self._approvals.find_one({"_id": request_id, "status": {"$ne": Status.PENDING.value}}, {"_id": 1})
        return self.get(request_id) if found else None

    def page(self, username: str | None, status: Status | None, limit: int, after: str | None) -> list[Approval]:
        """Return up to *limit* requests, newest first, older than *after*; those *username* may answer.

        Reads no further than to the first that no longer fits on a page.
        """
        query = transitions.narrowed(status)
        if username:
            query["people"] = username
        if after:
            query["_id"] = {"$lt": after}
        with reaching_mongodb():
            found = self._approvals.find(query, AS_SEEN).sort("_id", DESCENDING).limit(limit)
            return [_seen(document).approval for document in _one_more_than_fits(found)]

    def done_by(self, operation_id: str) -> Seen | None:
        """Return the request that this operation answered or cancelled, or None."""
        with reaching_mongodb():
            found = self._approvals.find_one({"operations": operation_id, "$expr": KEPT}, AS_SEEN)
        return self._lasting(found) if found else None

    def resolve(self, request_id: str, action: str, by: str, operation_id: str, *, anyone: bool = False) -> Seen:
        """Add the answer of *by*, and settle the request if that decides it. Atomic; each person counts once.

        Safe to repeat under the same *operation_id*. *anyone* lets people answer who were not asked.

        Raises:
            ApprovalNotFound, Forbidden: there is none, or it was not put to *by*.
            ActionNotOffered: the request stays as it was.
            AlreadyAnswered: *by* has, and others are still awaited.
            AlreadySettled: it was decided, cancelled or overdue.
        """
        asked = {"_id": request_id} if anyone else {"_id": request_id, "people": by}
        if found := self._answer(asked, by, action, operation_id):
            return _offered(found, by)
        seen = self.get(request_id)
        if not anyone and by not in seen.approval.approvers:
            raise Forbidden("This belongs to someone else.")
        return _refused(seen, operation_id)

    def resolve_oldest(self, username: str, action: str, operation_id: str) -> Seen:
        """Answer the oldest pending request that *username* has not answered. Atomic.

        An operation never answers a second one; a repeat finds what it has answered by `done_by`.

        Raises:
            NothingPending: there is none.
            ActionNotOffered: the request stays as it was.
        """
        try:
            found = self._answer({"people": username}, username, action, operation_id)
        except DuplicateKeyError:
            # A write of this operation that was thought lost has come through meanwhile.
            if done := self.done_by(operation_id):
                return done
            raise
        if found is None:
            raise NothingPending
        return _offered(found, username)

    def cancel(self, request_id: str, created_by: str | None, operation_id: str) -> Seen:
        """Take the question back. Atomic: the first to settle wins. *created_by* None cancels for anyone.

        Safe to repeat under the same *operation_id*.

        Raises:
            ApprovalNotFound, Forbidden: there is none, or someone else asked it.
            AlreadySettled: it was decided, cancelled or overdue.
        """
        query = {"_id": request_id} | ({"createdBy": created_by} if created_by else {})
        if found := self._update({**query, "$expr": IN_TIME}, transitions.cancelled(operation_id, self._kept_ms)):
            return _seen(found)
        seen = self.get(request_id)
        if created_by and seen.approval.created_by != created_by:
            raise Forbidden("This belongs to someone else.")
        return _refused(seen, operation_id)

    def admit(self, request_id: str, username: str) -> Seen | None:
        """Let one more person answer, and return the request; None if it is no longer pending. Safe to repeat."""
        found = self._update({"_id": request_id, "$expr": IN_TIME}, transitions.admitted(username))
        return _seen(found) if found else None

    def expire(self, request_id: str) -> Seen:
        """Record the timeout of an overdue request, and return the request as it is now, overdue or not."""
        found = self._update({"_id": request_id, "$expr": OVERDUE}, transitions.timed_out(self._kept_ms))
        return _seen(found) if found else self.get(request_id)

    def expire_all(self) -> int:
        """Record the timeout of every overdue request. Returns how many; what follows them is left to a sweep."""
        with reaching_mongodb():
            done = self._approvals.update_many(
                {**PENDING, "$expr": OVERDUE}, transitions.timed_out(self._kept_ms, dispatched=False)
            )
        return done.modified_count

    def take(self, request_id: str, effect: str) -> Seen:
        """Return the request for the worker that has the message of *effect*, and hold the effect's entry for it.

        Raises:
            ApprovalNotFound: there is none, or it is no longer kept.
        """
        with reaching_mongodb():
            found = self._approvals.find_one_and_update(
                {"_id": request_id, "$expr": KEPT},
                transitions.held(effect),
                AS_SEEN,
                return_document=ReturnDocument.AFTER,
            )
        if found is None:
            raise ApprovalNotFound
        return self._lasting(found)

    def next_expiry(self) -> datetime | None:
        """Return the earliest ``expiresAt`` of a pending request, overdue or not; None if nothing is pending."""
        with reaching_mongodb():
            first = self._approvals.find_one(PENDING, {"expiresAt": 1}, sort=[("expiresAt", ASCENDING)])
        return first["expiresAt"] if first else None

    def _lasting(self, found: dict[str, Any]) -> Seen:
        """Return what was read; a timeout that nobody has recorded is recorded first.

        An answer goes by the server's clock at the moment it arrives, and may be on its way into the document still.
        """
        return self.expire(found["_id"]) if found["unrecorded"] else _seen(found)

    def _answer(self, asked: dict[str, Any], by: str, action: str, operation_id: str) -> dict[str, Any] | None:
        """Answer the oldest request that matches, if it offers *action*; return it either way."""
        query = {**asked, "answers.username": {"$ne": by}, "$expr": IN_TIME}
        return self._update(query, transitions.answered(by, action, operation_id, self._kept_ms))

    def _update(self, query: dict[str, Any], pipeline: Pipeline) -> dict[str, Any] | None:
        """Change the oldest pending request that matches *query*; return it as it is then."""
        with reaching_mongodb():
            found: dict[str, Any] | None = self._approvals.find_one_and_update(
                {**query, **PENDING},
                pipeline,
                AS_SEEN,
                sort=[("_id", ASCENDING)],
                return_document=ReturnDocument.AFTER,
            )
        return found


def _one_more_than_fits(found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    weight = 0
    for document in found:
        yield document
        if (weight := weight + len(document["data"])) > PAGE_BYTES:
            return


def _offered(found: dict[str, Any], by: str) -> Seen:
    seen = _seen(found)
    if all(answer.username != by for answer in seen.approval.answers):
        raise ActionNotOffered
    return seen


def _refused(seen: Seen, operation_id: str) -> Seen:
    """Return the request if this operation has changed it before, else raise why the update met nothing.

    Asked after the decision, it has no part in it.
    """
    if operation_id in seen.operations:
        return seen
    raise AlreadySettled if seen.settled else AlreadyAnswered


def _seen(found: dict[str, Any]) -> Seen:
    fields = {name: value for name, value in found.items() if name not in _OURS}
    approval = Approval.model_validate(
        {**fields, "requestId": found["_id"], "data": json.loads(found["data"]), "approvers": found["people"]},
        strict=False,
    )
    return Seen(
        approval,
        remaining_ms=int(found["remainingMs"]),
        operations=tuple(found["operations"]),
        entries=entries.read(found["entries"]),
        callback_url=found["callbackUrl"],
    )


#: What the collection holds and nobody is shown.
_OURS = frozenset({"_id", "people", "operations", "entries", "callbackUrl", "remainingMs", "unrecorded"})
