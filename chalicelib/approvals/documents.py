"""Reads stored documents of requests, and positions in the order of lists. No I/O."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chalicelib.approvals.models import Approval, Seen
from chalicelib.core.queueing import entries
from chalicelib.core.runtime import accounts

#: Parts time and id in a position; neither contains a space.
_SEPARATOR = " "
#: Fields of the stored document that are not fields of `Approval`.
_INTERNAL_FIELDS = frozenset({"_id", "people", "operations", "entries", "callbackUrl", "remainingMs", "unrecorded"}) | {
    "accounts",
    "createdByAccount",
    "escalatedAccounts",
}


def position(approval: Approval) -> str:
    """Return the position of a request in the order of lists."""
    return _SEPARATOR.join((approval.created_at.isoformat(), approval.request_id))


def _completed(stored: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return an account id for each of *names*: a process of an earlier version adds names without account ids."""
    return (*stored, *map(accounts.id_of_name, names[len(stored) :]))


def at(position: str) -> tuple[datetime, str]:
    """Return the time and id of a position."""
    created_at, _, request_id = position.partition(_SEPARATOR)
    return datetime.fromisoformat(created_at), request_id


def from_document(found: dict[str, Any]) -> Seen:
    """Return the request of a document read with `transitions.AS_SEEN`."""
    fields = {name: value for name, value in found.items() if name not in _INTERNAL_FIELDS} | {
        "requestId": found["_id"],
        "data": json.loads(found["data"]),
        "approvers": found["people"],
        # Until `upgrade` has run, documents of earlier versions have no account ids.
        "answers": [{"by": answer["username"], **answer} for answer in found["answers"]],
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
    )
