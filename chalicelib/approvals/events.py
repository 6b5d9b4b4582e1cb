"""The events of requests for WebSocket connections, and the topics that connections may follow."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from chalicelib import sockets
from chalicelib.approvals import wiring
from chalicelib.approvals.models import Approval, Seen, Status
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.frames import Connection, Event, Topic

#: The largest ``data`` of a request in an event, and the largest snapshot, in bytes.
_LARGEST_DATA_BYTES, _LARGEST_SNAPSHOT_BYTES = 60_000, 60_000
#: The most pending questions in a snapshot.
_MOST_PENDING = 20


def requested(approval: Approval) -> Event:
    """Return the event of a question for a person who may answer. Too large ``data`` is null; clients fetch it."""
    return {"event": "approval.requested", **_document(approval)}


def announce(seen: Seen) -> None:
    """Push the outcome of a settled request: to its caller, and to the connections of everyone who could answer.

    The connection through which a person has answered gets the event too. Never raises. Repeats are harmless.
    """
    approval = seen.approval
    sockets.push(seen.created_by, {"event": "approval.resolved", **_document(approval)})
    outcome = approval.model_dump(mode="json", by_alias=True, include={"request_id", "status", "action", "resolved_by"})
    for account_id in dict.fromkeys(seen.accounts):
        sockets.push(account_id, {"event": "approval.answered-elsewhere", **outcome})


def ask(approval: Approval, person: Account) -> int:
    """Push the question to the connections of *person*; return how many took it. Never raises."""
    return sockets.push(person.account_id, requested(approval))


def _document(approval: Approval) -> dict[str, Any]:
    document = approval.model_dump(mode="json", by_alias=True)
    return document | ({"data": None} if len(to_json(approval.data)) > _LARGEST_DATA_BYTES else {})


def _anyone(_connection: Connection, _name: str) -> None:
    """Let every caller follow: a snapshot holds what the caller may list, and pushes go to accounts."""


def _inbox(connection: Connection, _name: str) -> Mapping[str, Any]:
    """Return the newest pending questions to the caller; *more* says whether there are others."""
    items: list[Any] = []
    room = _LARGEST_SNAPSHOT_BYTES
    for listed in wiring.store().page(connection.caller.account_id, Status.PENDING, _MOST_PENDING + 1, None):
        room -= len(listed.text.encode())
        if room < 0 or len(items) == _MOST_PENDING:
            return {"items": items, "more": True}
        items.append(from_json(listed.text))
    return {"items": items, "more": False}


def _counts(connection: Connection, _name: str) -> Mapping[str, Any]:
    """Return the numbers of requests by state that the caller's list has."""
    caller = connection.caller
    return {"counts": wiring.store().count(None if caller.is_admin else caller.account_id).model_dump(by_alias=True)}


TOPICS = (Topic("inbox", _anyone, _inbox), Topic("approvals", _anyone, _counts))
