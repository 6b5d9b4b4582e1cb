"""Builders of requests, also of overdue requests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.collection import Collection

from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals.models import Approval, NewApproval, Seen, SideEffect
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import named
from chalicelib.core.stores import newest

CALLER = "svc-loans"
PERSON = "ann"


def an_approval(timeout_ms: int = 60_000, **fields: Any) -> NewApproval:
    """Return a question without a waiter; *timeout_ms* may be below the limit for callers."""
    new = NewApproval(**{"username": PERSON, "title": "Pay?", "wait": False, **fields})
    return new.model_copy(update={"timeout_ms": timeout_ms})


def put(approvals: ApprovalStore, timeout_ms: int = 60_000, **fields: Any) -> str:
    """Store a question and return its id."""
    return put_as(approvals, ids.new_id(), an_approval(timeout_ms, **fields)).approval.request_id


def put_as(approvals: ApprovalStore, request_id: str, new: NewApproval, created_by: str = CALLER) -> Seen:
    """Store a question under an id. People have the accounts of users of earlier versions: the name tells the id."""
    return approvals.put(request_id, new, named(created_by), {name: named(name).account_id for name in new.named})


def tell(request_id: str) -> None:
    """End the entry of the event for webhooks, as its worker does."""
    approvals_wiring.outbox().end(request_id, SideEffect.TELL, dead=False)


def put_overdue(approvals: ApprovalStore, collection: Collection[dict[str, Any]], **fields: Any) -> str:
    """Store a question past its deadline, without a recorded timeout."""
    request_id = put(approvals, **fields)
    collection.update_one({"_id": request_id}, {"$set": {"expiresAt": ago(seconds=5)}})
    return request_id


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def answer(approvals: ApprovalStore, request_id: str, action: str, by: str | None, operation: str = "") -> Approval:
    """Answer as *by*; None answers as an administrator."""
    seen = approvals.resolve(request_id, action, named(by or "boss"), operation or ids.new_id(), anyone=by is None)
    return seen.approval


def answer_oldest(approvals: ApprovalStore, username: str, action: str, operation: str = "", by: str = "") -> Approval:
    """Answer the oldest request that *username* has not answered, as *username* or as *by*."""
    person = named(username)
    return approvals.resolve_oldest(person, action, named(by or username), operation or ids.new_id()).approval


def cancel(approvals: ApprovalStore, request_id: str, created_by: str | None, operation: str = "") -> Approval:
    """Cancel the question as *created_by*; None cancels as an administrator."""
    by = named(created_by or "boss")
    return approvals.cancel(request_id, by, operation or ids.new_id(), anyone=created_by is None).approval


def listed(approvals: ApprovalStore, *asked: Any) -> list[Approval]:
    """Return a page of a list, read from the JSON of its items."""
    return [Approval.model_validate_json(one.text) for one in approvals.page(*asked)]


def position(approval: Approval) -> str:
    """Return the position of a listed question."""
    return newest.position(approval.created_at, approval.request_id)
