"""Reads stored documents of requests. No I/O."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from chalicelib.approvals import deliveries
from chalicelib.approvals.errors import ActionNotOffered, AlreadyAnswered, AlreadySettled
from chalicelib.approvals.models import Approval, Seen
from chalicelib.approvals.transitions import STORY
from chalicelib.core.queueing import entries
from chalicelib.core.runtime import accounts
from chalicelib.core.stores import newest

#: Fields of the stored document that are not fields of `Approval`.
_INTERNAL_FIELDS = frozenset(
    {"_id", "people", "operations", "entries", "callbackUrl", "remainingMs", "unrecorded", "hops"}
) | {
    "accounts",
    "createdByAccount",
    "escalatedAccounts",
}


class Listed(NamedTuple):
    """A request in a list: the JSON of answers, and the position in the order of lists."""

    text: str
    position: str


def listed(found: Mapping[str, Any]) -> Listed:
    """Return the request of a document read with `transitions.AS_LISTED`, without a model, which made the document.

    The JSON has the fields of `Approval`, in their order. ``data`` stands as stored.
    """
    before = {name: found[name] for name in ("username", "title", "body")}
    after = {
        "actions": found["actions"],
        "status": found["status"],
        "action": found["action"],
        "createdBy": found["createdBy"],
        "createdAt": found["createdAt"],
        "expiresAt": found["expiresAt"],
        "resolvedAt": found["resolvedAt"],
        "responseMs": found["responseMs"],
        "approvers": found["people"],
        "required": found["required"],
        "answers": [_answer(answer) for answer in found["answers"]],
        "escalateTo": found["escalateTo"],
        "deliveries": deliveries.shown(found.get("deliveries")),
        **_story(found),
    }
    head, tail = to_json({"requestId": found["_id"], **before}).decode(), to_json(after).decode()
    return Listed(f'{head[:-1]},"data":{found["data"]},{tail[1:]}', newest.position(found["createdAt"], found["_id"]))


def _answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    # Until `upgrade` has run, answers of earlier versions do not say who gave them: the person did.
    by = answer.get("by", answer["username"])
    return {"username": answer["username"], "by": by, "action": answer["action"], "at": answer["at"]}


def _story(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found.get(name) for name in STORY}


def _completed(stored: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return an account id for each of *names*: a process of an earlier version adds names without account ids."""
    return (*stored, *map(accounts.id_of_name, names[len(stored) :]))


def from_document(found: dict[str, Any]) -> Seen:
    """Return the request of a document read with `transitions.AS_SEEN`."""
    fields = {name: value for name, value in found.items() if name not in _INTERNAL_FIELDS} | {
        "requestId": found["_id"],
        "data": json.loads(found["data"]),
        "approvers": found["people"],
        # Until `upgrade` has run, documents of earlier versions have no account ids.
        "answers": [{"by": answer["username"], **answer} for answer in found["answers"]],
        "deliveries": deliveries.shown(found.get("deliveries")),
        **_story(found),
    }
    approval = Approval.model_validate(fields, strict=False)
    escalated = [step.username for step in approval.escalate_to]
    return Seen(
        approval,
        remaining_ms=int(found["remainingMs"]),
        created_by=found.get("createdByAccount") or accounts.id_of_name(approval.created_by),
        accounts=_completed(found.get("accounts", ()), approval.approvers),
        escalated=_completed(found.get("escalatedAccounts", ()), escalated),
        operations=tuple(found["operations"]),
        entries=entries.read(found["entries"]),
        callback_url=found["callbackUrl"],
        hops=found.get("hops", 0),
    )


def require_offered(found: dict[str, Any], operation_id: str) -> Seen:
    """Return the request if operation *operation_id* has answered.

    Raises:
        ActionNotOffered: the update left the request unchanged.
    """
    seen = from_document(found)
    if operation_id not in seen.operations:
        raise ActionNotOffered
    return seen


def already_done(seen: Seen, operation_id: str) -> Seen:
    """Return the request if operation *operation_id* changed the request before.

    Called only after the update has decided, so the read has no part in the decision.

    Raises:
        AlreadySettled, AlreadyAnswered: the reason why the update matched nothing.
    """
    if operation_id in seen.operations:
        return seen
    raise AlreadySettled if seen.settled else AlreadyAnswered
