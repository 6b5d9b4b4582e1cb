"""Nothing that expires is served after its time, whether or not MongoDB has removed it yet.

Shown by moving the expiry of stored documents into the past.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.stack import Stack
from tests.support.approvals import await_timeout, create_request, read_request, request_path
from tests.support.client import Client, json_of, problem_of
from tests.support.sockets import connected, url_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

CURRENT = "/api/sessions/current"
PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.usefixtures("unswept")
def test_an_overdue_unrecorded_request_cannot_be_answered(
    admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    username = person().username
    request_id = create_request(admin, username, timeoutMs=1000)
    await_timeout(admin, username, request_id)
    assert (database.approvals.find_one({"_id": request_id}) or {})["status"] == "pending"
    problem_of(admin.post(request_path(request_id, "resolve"), {"action": "approve"}), 409)
    problem_of(admin.post(request_path(request_id, "cancel")), 409)
    # The answers of these calls showed the timeout, so the timeout is recorded.
    assert (database.approvals.find_one({"_id": request_id}) or {})["status"] == "timeout"
    assert read_request(admin, request_id)["status"] == "timeout"


def test_a_request_past_its_purge_time_is_not_found(
    admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    request_id = create_request(admin, person().username)
    json_of(admin.post(request_path(request_id, "resolve"), {"action": "approve"}))
    # The end of its last effect sets the time once more.
    eventually(lambda: database.approvals.find_one({"_id": request_id, "outbox": []}))
    database.approvals.update_one({"_id": request_id}, {"$set": {"purgeAt": datetime.now(UTC)}})
    problem_of(admin.get(request_path(request_id)), 404)


@pytest.mark.parametrize("field", ["expiresAt"])
def test_an_expired_session_is_refused_while_still_stored(
    person: NewPerson, database: Database[dict[str, Any]], field: str
) -> None:
    who = person()
    database.sessions.update_one({"username": who.username}, {"$set": {field: PAST}})
    problem_of(who.client.get(CURRENT), 401)
    assert database.sessions.count_documents({"username": who.username}) == 1


def test_an_expired_message_is_neither_listed_nor_offered_to_a_device(
    stack: Stack, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    ann, bob = person(), person()
    new = {"to": bob.username, "chatId": "chat", "message": "Hello"}
    acked, waits = (json_of(ann.client.post("/api/messages", new), 201)["messageId"] for _ in range(2))
    with connected(url_of(stack.url), "holdfast", f"token.{bob.client.token}") as socket:
        # Given messages that a phone is offered
        batch = socket.ask({"action": "join_chat", "deviceId": "phone"})
        assert [item["messageId"] for item in batch["items"]] == [acked, waits]
        socket.ask({"action": "ack", "messageIds": [acked], "deviceId": "phone"})
        # When their time is over
        database.messages.update_many({"_id": {"$in": [acked, waits]}}, {"$set": {"purgeAt": PAST}})
        # Then neither a known device nor a new one gets them
        for device in ("phone", "tablet"):
            joined = socket.ask({"action": "join_chat", "deviceId": device})
            assert joined == {"event": "joined", "undelivered": 0}
    assert json_of(bob.client.get(f"/api/messages/buffered/{bob.username}"))["items"] == []
