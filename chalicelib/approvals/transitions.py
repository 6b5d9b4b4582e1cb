"""State transitions of a request: conditions, and updates as aggregation pipelines for MongoDB. No I/O.

Every update demands *pending*, and *in time* or *overdue*, by the server's clock. *In time* and *overdue* exclude each
other, so an answer and a timeout never both win. The same update writes the outbox entries of the side effects with the
due moments, as the process may die right after the update.
"""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.approvals.models import APPROVE, TIMEOUT, NewApproval, SideEffect, Status, escalation, notification
from chalicelib.core.egress.urls import parse
from chalicelib.core.queueing import entries
from chalicelib.core.runtime import accounts, hops
from chalicelib.core.runtime.accounts import Account

Pipeline = list[dict[str, Any]]

PENDING = {"status": Status.PENDING.value}
IN_TIME = {"$gt": ["$expiresAt", "$$NOW"]}
OVERDUE = {"$lte": ["$expiresAt", "$$NOW"]}
#: There, for workers. MongoDB removes documents late, and a process may have read before.
STORED = {"$gt": ["$purgeAt", "$$NOW"]}
#: There, for callers. A document may have to stay for its effects when callers no longer read it.
KEPT = {"$gt": [{"$min": ["$purgeAt", "$readableUntil"]}, "$$NOW"]}

_TIMED_OUT = {"$and": [{"$eq": ["$status", Status.PENDING.value]}, OVERDUE]}
_SHOWN = ("username", "title", "body", "data", "actions", "people", "required", "escalateTo", "deliveries")
_ACCOUNTS = ("accounts", "createdByAccount", "escalatedAccounts")
_ANSWERS = tuple(f"answers.{name}" for name in ("username", "by", "action", "at"))
_DATES = ("createdBy", "createdAt", "expiresAt", "responseMs")
#: Who settled a request, and through which instances. Documents of earlier versions have none of these fields.
STORY = ("resolvedBy", "askedBy", "resolvedThrough", "heardBy")

#: Projection of a request for a list: an overdue request is shown as timed out, recorded or not.
AS_LISTED: dict[str, Any] = dict.fromkeys((*_SHOWN, *_ANSWERS, *_DATES, *STORY), 1) | {
    "status": {"$cond": [_TIMED_OUT, Status.TIMEOUT.value, "$status"]},
    "action": {"$cond": [_TIMED_OUT, TIMEOUT, "$action"]},
    "resolvedAt": {"$cond": [_TIMED_OUT, "$expiresAt", "$resolvedAt"]},
    "unrecorded": _TIMED_OUT,
}
#: Projection of a request at the moment of reading, with the account ids and the outbox.
AS_SEEN: dict[str, Any] = AS_LISTED | {
    **dict.fromkeys((*_ACCOUNTS, "callbackUrl", "operations", "hops"), 1),
    "remainingMs": {"$subtract": ["$expiresAt", "$$NOW"]},
    "entries": entries.shown(),
}


def ids_of_names(names: str) -> dict[str, Any]:
    """Return the account ids of the users *names*, an expression, who have no stored account ids."""
    return {"$map": {"input": names, "in": id_of_name("$$this")}}


def id_of_name(name: str) -> dict[str, Any]:
    """Return the account id of the user *name*, an expression, who has no stored account id."""
    return {"$concat": [accounts.id_of_name(""), name]}


def created(
    new: NewApproval, created_by: Account, known: Mapping[str, str], kept_ms: int, *, instance: str
) -> Pipeline:
    """Make the document; an existing document stays unchanged. *known* has the account id of each person named."""
    fixed = {
        **new.model_dump(mode="json", by_alias=True, include={"username", "title", "body", "actions", "escalate_to"}),
        # As text, so keys of any spelling, numbers of any size and values of any depth are returned as sent.
        "data": json.dumps(new.data),
        "people": new.people,
        "accounts": [known[name] for name in new.people],
        "escalatedAccounts": [known[step.username] for step in new.escalate_to],
        "required": new.required,
        "approving": APPROVE if APPROVE in new.actions else new.actions[0],
        "callbackUrl": new.callback_url,
        "callbackLane": f"{created_by.account_id}/{parse(new.callback_url).authority}" if new.callback_url else None,
        "answers": [],
        "operations": [],
        "hops": hops.current(),
        "createdBy": created_by.username,
        "createdByAccount": created_by.account_id,
        "status": Status.PENDING.value,
        "action": None,
        "resolvedAt": None,
        "responseMs": None,
        "resolvedBy": None,
        "askedBy": instance,
        "resolvedThrough": None,
        # The process that takes a question whose caller waits is the process that holds the caller.
        "heardBy": instance if new.wait else None,
    }
    owner = {"$literal": created_by.account_id}
    timed = {
        "createdAt": "$$NOW",
        "expiresAt": {"$add": ["$$NOW", new.timeout_ms]},
        "readableUntil": {"$add": ["$$NOW", new.timeout_ms + kept_ms]},
        "outbox": [entries.entry(SideEffect.NOTIFY, "$$NOW", owner=owner), *_escalations(new), *_expiry(new)],
    }
    fresh = {"$mergeObjects": ["$$ROOT", {"$literal": fixed}, timed]}
    return [{"$replaceWith": {"$cond": [{"$eq": [{"$type": "$status"}, "missing"]}, fresh, "$$ROOT"]}}, *entries.kept()]


def unanswered_by(*people: Account) -> dict[str, Any]:
    """Return the query for requests in which none of *people* has answered, or was answered for."""
    counted = {"$nin": list({person.account_id for person in people})}
    return {"answers.account": counted, "answers.byAccount": counted}


def answered(person: Account, by: Account, action: str, operation_id: str, kept_ms: int, *, instance: str) -> Pipeline:
    """Add the answer of *by* for *person* if *action* is offered; settle the request if the answer decides.

    The approving action needs ``required`` people; any other action settles the request at once.
    """
    given = {"$literal": action}
    offered = {"$in": [given, "$actions"]}
    answer = {
        "username": {"$literal": person.username},
        "account": {"$literal": person.account_id},
        "by": {"$literal": by.username},
        "byAccount": {"$literal": by.account_id},
        "action": given,
        "at": "$$NOW",
    }
    approvals = {"$size": {"$filter": {"input": "$answers", "cond": {"$eq": ["$$this.action", "$approving"]}}}}
    decided = {"$or": [{"$ne": [given, "$approving"]}, {"$gte": [approvals, "$required"]}]}
    noted = {"hops": hops.current(), "responseMs": {"$subtract": ["$$NOW", "$createdAt"]}, **_through(by, instance)}
    change = _settled(Status.RESOLVED, given, "$$NOW", kept_ms, **noted)
    return [
        {
            "$set": {
                "answers": {"$cond": [offered, {"$concatArrays": ["$answers", [answer]]}, "$answers"]},
                "operations": {"$cond": [offered, _add_operation(operation_id), "$operations"]},
            }
        },
        {"$replaceWith": {"$cond": [{"$and": [offered, decided]}, {"$mergeObjects": ["$$ROOT", change]}, "$$ROOT"]}},
        *entries.kept(),
    ]


def cancelled(by: Account, operation_id: str, kept_ms: int, *, instance: str) -> Pipeline:
    """Cancel the request."""
    change = _settled(Status.CANCELLED, None, "$$NOW", kept_ms, **_through(by, instance))
    return [{"$set": {**change, "operations": _add_operation(operation_id)}}, *entries.kept()]


def timed_out(kept_ms: int, *, dispatched: bool = True) -> Pipeline:
    """Record the timeout as of ``expiresAt``, so readers see the same before and after the record is written.

    *dispatched*: see `entries.entry`.
    """
    return [{"$set": _settled(Status.TIMEOUT, TIMEOUT, "$expiresAt", kept_ms, dispatched=dispatched)}, *entries.kept()]


def held(effect: str) -> Pipeline:
    """Hold the outbox entry of *effect* for the worker of the message."""
    return [{"$set": {"outbox": entries.held(effect)}}]


def admitted(person: Account, step: int) -> Pipeline:
    """Let *person*, of escalation *step*, answer too, and notify *person*. Safe to repeat."""
    name, id_, effect = {"$literal": person.username}, {"$literal": person.account_id}, notification(step)
    known = {"$ifNull": ["$accounts", ids_of_names("$people")]}
    unknown = {"$not": [{"$in": [id_, known]}]}
    asked = {"$concatArrays": ["$outbox", [entries.entry(effect, "$$NOW", owner=_owner())]]}
    return [
        {
            "$set": {
                "people": {"$cond": [unknown, {"$concatArrays": ["$people", [name]]}, "$people"]},
                "accounts": {"$cond": [unknown, {"$concatArrays": [known, [id_]]}, known]},
                "outbox": {"$cond": [{"$in": [effect, "$outbox.effect"]}, "$outbox", asked]},
            }
        },
        *entries.kept(),
    ]


def narrowed(status: Status | None) -> dict[str, Any]:
    """Return the query for kept requests that read as *status*: an indexed part, and an ``$expr`` part."""
    if status is None:
        return {"$expr": KEPT}
    if status is Status.PENDING:
        return {**PENDING, "$expr": {"$and": [KEPT, IN_TIME]}}
    if status is Status.TIMEOUT:
        seen = {"$or": [{"$eq": ["$status", status.value]}, OVERDUE]}
        return {"status": {"$in": [status.value, Status.PENDING.value]}, "$expr": {"$and": [KEPT, seen]}}
    return {"status": status.value, "$expr": KEPT}


def _settled(
    status: Status, action: Any, since: str, kept_ms: int, *, dispatched: bool = True, **fields: Any
) -> dict[str, Any]:
    """Return the fields of a settled request. The new outbox has callback and event; pending effects are dropped."""
    lane = {"$ifNull": ["$callbackLane", {"$concat": [_owner(), "/"]}]}
    callback = [entries.entry(SideEffect.CALLBACK, since, owner=_owner(), lane=lane, dispatched=dispatched)]
    event = [entries.entry(SideEffect.TELL, since, owner=_owner(), dispatched=dispatched)]
    return {
        "status": status.value,
        "action": action,
        "resolvedAt": since,
        "readableUntil": {"$add": [since, kept_ms]},
        "outbox": {"$concatArrays": [{"$cond": [{"$eq": [{"$type": "$callbackUrl"}, "string"]}, callback, []]}, event]},
        **fields,
    }


def _through(by: Account, instance: str) -> dict[str, Any]:
    return {"resolvedBy": {"$literal": by.username}, "resolvedThrough": instance}


def _owner() -> dict[str, Any]:
    """Return the expression of the account for which a request's effects are done."""
    return {"$ifNull": ["$createdByAccount", id_of_name("$createdBy")]}


def _escalations(new: NewApproval) -> list[dict[str, Any]]:
    return [
        entries.entry(escalation(step), {"$add": ["$$NOW", next_.after_ms]})
        for step, next_ in enumerate(new.escalate_to)
    ]


def _expiry(new: NewApproval) -> list[dict[str, Any]]:
    """Return the outbox entry that records the timeout at ``expiresAt``, if a callback must follow the timeout."""
    if new.callback_url is None:
        return []
    return [entries.entry(SideEffect.EXPIRE, {"$add": ["$$NOW", new.timeout_ms]})]


def _add_operation(operation_id: str) -> dict[str, Any]:
    return {"$concatArrays": ["$operations", [operation_id]]}
