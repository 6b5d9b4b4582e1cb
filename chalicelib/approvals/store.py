"""Where requests live: one MongoDB collection; one atomic update of the document decides what becomes of it.

Every such update has the same two conditions, *pending* and *in time* (or *overdue*), against the server's clock. They
exclude each other, so an answer and a timeout never both win. What must follow the change is marked in the same update
(``outbox``), for the process may die right after it.
"""

import json
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument
from pymongo.errors import DuplicateKeyError

from chalicelib.approvals.errors import ActionNotOffered, AlreadySettled, ApprovalNotFound, NothingPending
from chalicelib.approvals.models import TIMEOUT, Approval, NewApproval, Seen, Status
from chalicelib.errors import Forbidden
from chalicelib.outages import reaching_mongodb
from chalicelib.settings import ApprovalSettings

_PENDING = {"status": Status.PENDING.value}
INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("username", ASCENDING), ("_id", DESCENDING)]),
    IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
    IndexModel([("username", ASCENDING), ("_id", ASCENDING)], name="pending-of-user", partialFilterExpression=_PENDING),
    IndexModel([("expiresAt", ASCENDING)], name="pending-by-expiry", partialFilterExpression=_PENDING),
    # An operation settles one request, however often its call is repeated.
    IndexModel(
        [("settledBy", ASCENDING)], name="settled-once", unique=True, partialFilterExpression={"settledBy": {"$gt": ""}}
    ),
]

_IN_TIME = {"$gt": ["$expiresAt", "$$NOW"]}
_OVERDUE = {"$lte": ["$expiresAt", "$$NOW"]}
_KEPT = {"$gt": ["$purgeAt", "$$NOW"]}
_TIMED_OUT = {"$and": [{"$eq": ["$status", Status.PENDING.value]}, _OVERDUE]}

#: A request as it is at the moment of reading: overdue is timed out, whether or not anyone has recorded it.
_AS_SEEN: dict[str, Any] = dict.fromkeys(
    ("username", "title", "body", "data", "actions", "createdBy", "createdAt", "expiresAt", "responseMs", "settledBy"),
    1,
) | {
    "status": {"$cond": [_TIMED_OUT, Status.TIMEOUT.value, "$status"]},
    "action": {"$cond": [_TIMED_OUT, TIMEOUT, "$action"]},
    "resolvedAt": {"$cond": [_TIMED_OUT, "$expiresAt", "$resolvedAt"]},
    "remainingMs": {"$subtract": ["$expiresAt", "$$NOW"]},
}

_HOUR_MS = 3_600_000


class ApprovalStore:
    """Requests by id, by user and by what has become of them."""

    def __init__(self, collection: Collection[dict[str, Any]], settings: ApprovalSettings) -> None:
        self._approvals = collection
        self._kept_ms = settings.readable_hours * _HOUR_MS

    def put(self, request_id: str, new: NewApproval, created_by: str) -> Seen:
        """Keep a new request under *request_id*. Safe to repeat: what stands under that id already is left alone."""
        fixed = {
            **new.model_dump(mode="json", include={"username", "title", "body", "actions"}),
            # As text: keys of any spelling, numbers of any size and any depth come back as they were sent.
            "data": json.dumps(new.data),
            "createdBy": created_by,
            "status": Status.PENDING.value,
            "action": None,
            "resolvedAt": None,
            "responseMs": None,
        }
        timed = {
            "createdAt": "$$NOW",
            "expiresAt": {"$add": ["$$NOW", new.timeout_ms]},
            "purgeAt": {"$add": ["$$NOW", new.timeout_ms + self._kept_ms]},
        }
        fresh = {"$mergeObjects": ["$$ROOT", {"$literal": fixed}, timed]}
        is_new = {"$eq": [{"$type": "$status"}, "missing"]}
        with reaching_mongodb():
            found: Any = self._approvals.find_one_and_update(
                {"_id": request_id},
                [{"$replaceWith": {"$cond": [is_new, fresh, "$$ROOT"]}}],
                _AS_SEEN,
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return _seen(found)

    def get(self, request_id: str) -> Seen:
        """Return the request as it is now.

        Raises:
            ApprovalNotFound: there is none, or it is no longer kept.
        """
        with reaching_mongodb():
            found = self._approvals.find_one({"_id": request_id, "$expr": _KEPT}, _AS_SEEN)
        if found is None:
            raise ApprovalNotFound
        return _seen(found)

    def settled(self, request_id: str) -> Seen | None:
        """Return the request once its final state is recorded, else None: the cheapest look there is."""
        with reaching_mongodb():
            found = self._approvals.find_one({"_id": request_id, "status": {"$ne": Status.PENDING.value}})
        return _seen(found) if found else None

    def page(self, username: str | None, status: Status | None, limit: int, after: str | None) -> list[Approval]:
        """Return up to *limit* requests, newest first, older than *after*."""
        query = {"$expr": {"$and": [_KEPT, *_status_conditions(status)]}, **_narrowed(status)}
        if username:
            query["username"] = username
        if after:
            query["_id"] = {"$lt": after}
        with reaching_mongodb():
            found = self._approvals.find(query, _AS_SEEN).sort("_id", DESCENDING).limit(limit)
            return [_seen(document).approval for document in found]

    def settled_by(self, operation_id: str | None) -> Approval | None:
        """Return the request that this operation settled, or None."""
        with reaching_mongodb():
            found = self._approvals.find_one({"settledBy": operation_id, "$expr": _KEPT}, _AS_SEEN)
        return _seen(found).approval if found else None

    def resolve(self, request_id: str, action: str, username: str | None, operation_id: str | None = None) -> Approval:
        """Record *action* as the answer. Atomic: the first to settle wins. *username* None answers for anyone.

        Safe to repeat under the same *operation_id*.

        Raises:
            ApprovalNotFound, Forbidden: there is none, or it was put to someone else.
            ActionNotOffered: the request stays as it was.
            AlreadySettled: it was answered, cancelled or overdue.
        """
        query = {"_id": request_id} | ({"username": username} if username else {})
        if (found := self._answer(query, action, operation_id)) is None:
            return self._refused(request_id, "username", username, operation_id)
        return _offered(found)

    def resolve_oldest(self, username: str, action: str, operation_id: str | None = None) -> Approval:
        """Record *action* as the answer to the oldest pending request of *username*. Atomic.

        An operation never answers a second one; a repeat finds what it has answered by `settled_by`.

        Raises:
            NothingPending: there is none.
            ActionNotOffered: the request stays as it was.
        """
        try:
            found = self._answer({"username": username}, action, operation_id)
        except DuplicateKeyError:
            # A write of this operation that was thought lost has come through meanwhile.
            if settled := self.settled_by(operation_id):
                return settled
            raise
        if found is None:
            raise NothingPending
        return _offered(found)

    def cancel(self, request_id: str, created_by: str | None, operation_id: str | None = None) -> Approval:
        """Take the question back. Atomic: the first to settle wins. *created_by* None cancels for anyone.

        Safe to repeat under the same *operation_id*.

        Raises:
            ApprovalNotFound, Forbidden: there is none, or someone else asked it.
            AlreadySettled: it was answered, cancelled or overdue.
        """
        query = {"_id": request_id} | ({"createdBy": created_by} if created_by else {})
        change = {
            "$set": self._change(Status.CANCELLED, {"action": None, "resolvedAt": "$$NOW", "settledBy": operation_id})
        }
        with reaching_mongodb():
            found: dict[str, Any] | None = self._approvals.find_one_and_update(
                {**query, **_PENDING, "$expr": _IN_TIME}, [change], return_document=ReturnDocument.AFTER
            )
        if found is None:
            return self._refused(request_id, "created_by", created_by, operation_id)
        return _seen(found).approval

    def expire(self, request_id: str) -> Seen:
        """Record the timeout of an overdue request, and return the request as it is now, overdue or not."""
        with reaching_mongodb():
            self._approvals.update_one({"_id": request_id, **_PENDING, "$expr": _OVERDUE}, [self._timeout()])
        return self.get(request_id)

    def expire_all(self) -> int:
        """Record the timeout of every overdue request. Returns how many this call recorded."""
        with reaching_mongodb():
            return self._approvals.update_many({**_PENDING, "$expr": _OVERDUE}, [self._timeout()]).modified_count

    def _answer(self, query: dict[str, Any], action: str, operation_id: str | None) -> dict[str, Any] | None:
        """Answer the oldest request that matches, if it offers *action*; return it either way."""
        change = self._change(
            Status.RESOLVED,
            {
                "action": {"$literal": action},
                "resolvedAt": "$$NOW",
                "responseMs": {"$subtract": ["$$NOW", "$createdAt"]},
                "settledBy": operation_id,
            },
        )
        offered = {"$in": [{"$literal": action}, "$actions"]}
        answered = {"$cond": [offered, {"$mergeObjects": ["$$ROOT", change]}, "$$ROOT"]}
        with reaching_mongodb():
            found: dict[str, Any] | None = self._approvals.find_one_and_update(
                {**query, **_PENDING, "$expr": _IN_TIME},
                [{"$replaceWith": answered}],
                sort=[("_id", ASCENDING)],
                return_document=ReturnDocument.AFTER,
            )
        return found

    def _change(self, status: Status, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "status": status.value,
            "outbox": f"approval.{status.value}",
            "purgeAt": {"$add": ["$$NOW", self._kept_ms]},
            **fields,
        }

    def _timeout(self) -> dict[str, Any]:
        # It left pending when it became overdue, and is kept from then on: what is read does not depend on the sweep.
        since = {"resolvedAt": "$expiresAt", "purgeAt": {"$add": ["$expiresAt", self._kept_ms]}}
        return {"$set": self._change(Status.TIMEOUT, {"action": TIMEOUT, **since})}

    def _refused(self, request_id: str, owner: str, name: str | None, operation_id: str | None) -> Approval:
        """Return the request if this operation settled it before, else raise why the update met nothing.

        Asked after the decision, it has no part in it.
        """
        seen = self.get(request_id)
        if name and getattr(seen.approval, owner) != name:
            raise Forbidden("This belongs to someone else.")
        if operation_id is None or seen.settled_by != operation_id:
            raise AlreadySettled
        return seen.approval


def _status_conditions(status: Status | None) -> list[dict[str, Any]]:
    if status is Status.PENDING:
        return [_IN_TIME]
    if status is Status.TIMEOUT:
        return [{"$or": [{"$eq": ["$status", Status.TIMEOUT.value]}, _OVERDUE]}]
    return []


def _narrowed(status: Status | None) -> dict[str, Any]:
    """Return the part of the query an index can serve."""
    if status is None:
        return {}
    if status is Status.TIMEOUT:
        return {"status": {"$in": [Status.TIMEOUT.value, Status.PENDING.value]}}
    return {"status": status.value}


def _offered(found: dict[str, Any]) -> Approval:
    seen = _seen(found)
    if not seen.settled:
        raise ActionNotOffered
    return seen.approval


def _seen(found: dict[str, Any]) -> Seen:
    fields = {name: value for name, value in found.items() if name not in _OURS}
    approval = Approval.model_validate(
        {**fields, "requestId": found["_id"], "data": json.loads(found["data"])}, strict=False
    )
    return Seen(approval, int(found.get("remainingMs", 0)), found.get("settledBy"))


#: What the collection holds and nobody is shown.
_OURS = frozenset({"_id", "purgeAt", "outbox", "remainingMs", "settledBy"})
