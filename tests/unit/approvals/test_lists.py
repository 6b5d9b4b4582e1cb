"""Lists of requests: their JSON is that of single reads, and fits into a function's response."""

import json
from typing import Any

import pytest

from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.web.roles import Role
from chalicelib.sessions.store import SessionStore
from tests.support.gateway import ask
from tests.unit.approvals.build import answer, cancel, put

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
