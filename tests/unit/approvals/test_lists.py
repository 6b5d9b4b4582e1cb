"""Lists of requests: their JSON is that of single reads, and fits into a function's response."""

import json
from typing import Any

import pytest

from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals.errors import AlreadySettled
from chalicelib.approvals.models import Status
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.web.roles import Role
from chalicelib.sessions.store import SessionStore
from tests.support.gateway import ask
from tests.unit.approvals.build import ago, answer, cancel, listed, put, put_overdue

PATH = "/api/pending-responses"
#: Lambda's limit of a response.
RESPONSE_BYTES = 6 * 1024 * 1024


@pytest.fixture
def admin(sessions: SessionStore) -> str:
    return sessions.open("admin", [Role.ADMIN], "e").token


def test_list_shows_each_request_as_its_single_read(approvals: ApprovalStore, admin: str) -> None:
    # Given
    data: dict[str, Any] = {"Spelled_so": [1.5, None, True, 10**30, "é\x01"], "n": {}}
    many = [
        put(approvals, title='é "x" \\ \x1f', data=data, escalate_to=[{"username": "eve", "afterMs": 1_000}]),
        put(approvals, approvers=["bob", "cem"], required=2),
        put(approvals),
        put(approvals),
    ]
    answer(approvals, many[1], "approve", "ann")
    answer(approvals, many[2], "reject", None)
    cancel(approvals, many[3], None)
    # Then
    listed = {item["requestId"]: item for item in ask("GET", PATH, token=admin).json["items"]}
    for request_id in many:
        single = ask("GET", f"{PATH}/{request_id}", token=admin).json
        assert json.dumps(listed[request_id]) == json.dumps(single)


@pytest.mark.parametrize("field", ["title", "body", "data"])
def test_list_of_long_requests_fits_into_a_response(approvals: ApprovalStore, admin: str, field: str) -> None:
    # Given
    text = "漢" * (200 if field == "title" else 10_000)
    fields: dict[str, Any] = {field: {"text": text} if field == "data" else text}
    many = [put(approvals, **fields) for _ in range(200)]
    # When
    seen, cursor = [], None
    while True:
        page = ask("GET", PATH, token=admin, query={"limit": "200"} | ({"cursor": cursor} if cursor else {}))
        assert len(json.dumps({"body": page.text})) < RESPONSE_BYTES
        seen += [item["requestId"] for item in page.json["items"]]
        if (cursor := page.json["nextCursor"]) is None:
            break
    # Then
    assert seen == many[::-1]


def test_a_timeout_of_a_list_cannot_be_overtaken_by_an_answer(approvals: ApprovalStore, mongodb: Any) -> None:
    # Given requests whose time is over, and whose timeout no update has recorded
    overdue = [put_overdue(approvals, mongodb.approvals) for _ in range(3)]
    alive = put(approvals)
    # When a list shows two of them, and an answer arrives by a clock that is behind
    page = listed(approvals, None, None, 3, None)
    assert [(one.request_id, one.status) for one in page] == [
        (alive, Status.PENDING),
        (overdue[2], Status.TIMEOUT),
        (overdue[1], Status.TIMEOUT),
    ]
    mongodb.approvals.update_many({}, {"$set": {"expiresAt": ago(seconds=-60)}})
    # Then the answer has lost
    for request_id in overdue[1:]:
        with pytest.raises(AlreadySettled):
            answer(approvals, request_id, "approve", None)
    # And the request that was not shown may still be answered
    assert answer(approvals, overdue[0], "approve", None).status is Status.RESOLVED


def test_a_list_of_timeouts_leaves_out_an_answer_that_came_in_time(approvals: ApprovalStore, mongodb: Any) -> None:
    # Given two overdue requests; the answer to one arrives between the list's read and its record of timeouts
    shown, answered = [put_overdue(approvals, mongodb.approvals) for _ in range(2)]
    page = approvals._expire_first

    def in_between(query: dict[str, Any], limit: int) -> None:
        mongodb.approvals.update_one({"_id": answered}, {"$set": {"status": "resolved"}})
        page(query, limit)

    approvals._expire_first = in_between  # type: ignore[method-assign]
    try:
        found = listed(approvals, None, Status.TIMEOUT, 9, None)
    finally:
        del approvals._expire_first
    assert [one.request_id for one in found] == [shown]


def test_the_sweep_dispatches_the_callbacks_of_listed_timeouts(
    approvals: ApprovalStore, mongodb: Any, mail: Any
) -> None:
    put_overdue(approvals, mongodb.approvals, callback_url="https://example.com/hook")
    listed(approvals, None, None, 9, None)
    # The callback, and the event for webhooks.
    assert approvals_wiring.outbox().sweep() == 2
