"""Builders of requests, also of overdue requests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.collection import Collection

from chalicelib.approvals.models import Approval, NewApproval
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.runtime import ids

CALLER = "svc-loans"
PERSON = "ann"


def an_approval(timeout_ms: int = 60_000, **fields: Any) -> NewApproval:
    """Return a question without a waiter; *timeout_ms* may be below the limit for callers."""
    new = NewApproval(**{"username": PERSON, "title": "Pay?", "wait": False, **fields})
    return new.model_copy(update={"timeout_ms": timeout_ms})


def put(approvals: ApprovalStore, timeout_ms: int = 60_000, **fields: Any) -> str:
    """Store a question and return its id."""
    return approvals.put(ids.new_id(), an_approval(timeout_ms, **fields), CALLER).approval.request_id


def put_overdue(approvals: ApprovalStore, collection: Collection[dict[str, Any]], **fields: Any) -> str:
    """Store a question past its deadline, without a recorded timeout."""
    request_id = put(approvals, **fields)
    collection.update_one({"_id": request_id}, {"$set": {"expiresAt": ago(seconds=5)}})
    return request_id


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def answer(approvals: ApprovalStore, request_id: str, action: str, by: str | None, operation: str = "") -> Approval:
    """Answer as *by*; None answers as an administrator."""
    seen = approvals.resolve(request_id, action, by or "boss", operation or ids.new_id(), anyone=by is None)
    return seen.approval


def answer_oldest(approvals: ApprovalStore, username: str, action: str, operation: str = "") -> Approval:
    """Answer the oldest request still open for *username*."""
    return approvals.resolve_oldest(username, action, operation or ids.new_id()).approval


def cancel(approvals: ApprovalStore, request_id: str, created_by: str | None, operation: str = "") -> Approval:
    """Cancel the question as *created_by*; None cancels as an administrator."""
    return approvals.cancel(request_id, created_by, operation or ids.new_id()).approval
