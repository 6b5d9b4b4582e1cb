"""Approvals over HTTP: the rights to ask, see, answer and cancel, and the responses."""

import threading
from datetime import datetime
from time import sleep
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.wait import Polling
from chalicelib.core.web.roles import Role
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.users.store import UserStore
from tests.support.gateway import Answer, Context, ask
from tests.support.waiting import eventually
from tests.unit.approvals.build import ago

Mongo = Database[dict[str, Any]]
SHOWN = {"requestId", "username", "title", "body", "data", "actions", "status", "action", "createdBy", "createdAt"}
ROLES = {"ann": Role.USER, "bob": Role.USER, "svc": Role.SERVICE, "olga": Role.OFFICER, "admin": Role.ADMIN}
SHOWN |= {"expiresAt", "resolvedAt", "responseMs"}


@pytest.fixture(autouse=True)
def people(users: UserStore, mongodb: Mongo, mail: Any) -> None:
    for name, role in ROLES.items():
        users.add(name, "a hash", [role])


@pytest.fixture
def tokens(people: None, users: UserStore) -> dict[str, str]:
    accounts, open_ = users.accounts(list(ROLES)), sessions_wiring.store().open
    return {name: open_(name, [role], "e", accounts[name]).token for name, role in ROLES.items()}


@pytest.fixture
def request_id(tokens: dict[str, str]) -> str:
    """A question of the service to ann."""
    body = {"username": "ann", "wait": False, "timeoutMs": 60_000}
    answer = ask("POST", "/send-notification", body, token=tokens["svc"])
    assert answer.status == 202
    made: str = answer.json["requestId"]
    return made


def settle(request_id: str, how: str, token: str) -> Answer:
    body = {"action": "approve"} if how == "resolve" else None
    return ask("POST", f"/api/pending-responses/{request_id}/{how}", body, token=token)


# --- asking


def test_a_request_without_wait_returns_202_and_its_id(tokens: dict[str, str]) -> None:
    # When
    body = {"username": "ANN", "title": "Pay?", "data": {"$where": 1, "a.b": [2**70]}, "wait": False}
    answer = ask("POST", "/send-notification", body, token=tokens["olga"])
    # Then
    assert answer.status == 202
    assert set(answer.json) == {"requestId", "status", "expiresAt"}
    assert answer.json["status"] == "pending"
    seen = ask("GET", f"/api/pending-responses/{answer.json['requestId']}", token=tokens["ann"])
    assert seen.status == 200
    assert set(seen.json) >= SHOWN
    assert (seen.json["username"], seen.json["createdBy"], seen.json["data"]) == ("ann", "olga", body["data"])
    assert seen.json["createdAt"].endswith("Z")
    assert datetime.fromisoformat(seen.json["expiresAt"]) > datetime.fromisoformat(seen.json["createdAt"])


def test_a_waiting_caller_gets_the_persons_action(tokens: dict[str, str], mongodb: Mongo) -> None:
    # Given a person who answers each question at once
    def answer() -> None:
        eventually(lambda: mongodb.approvals.count_documents({"status": "pending"}) == 1)
        ask("POST", "/api/user-action", {"username": "ann", "action": "reject"}, token=tokens["ann"])

    person = threading.Thread(target=answer)
    person.start()
    # When
    outcome = ask("POST", "/send-notification", {"username": "ann"}, token=tokens["svc"])
    person.join()
    # Then
    assert outcome.status == 200
    assert outcome.json == {
        "requestId": outcome.json["requestId"],
        "username": "ann",
        "status": "resolved",
        "action": "reject",
    }


def test_a_waiting_caller_without_an_answer_gets_the_timeout(tokens: dict[str, str]) -> None:
    outcome = ask("POST", "/send-notification", {"username": "ann", "timeoutMs": 1_000}, token=tokens["svc"])
    assert (outcome.status, outcome.json["status"], outcome.json["action"]) == (200, "timeout", "timeout")


def test_a_fast_clock_never_gives_a_waiting_caller_pending(
    tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a clock that runs half as fast again as the server's
    moved = [0.0]

    def pause(seconds: float) -> None:
        moved[0] += seconds * 1.5
        sleep(seconds)

    polling = Polling(approvals_wiring.store(), ApprovalSettings(), clock=lambda: moved[0], pause=pause)
    monkeypatch.setattr(approvals_wiring, "waiter", lambda: polling)
    # Then
    outcome = ask("POST", "/send-notification", {"username": "ann", "timeoutMs": 1_000}, token=tokens["svc"])
    assert outcome.json["status"] == "timeout"


def test_a_long_poll_ends_before_its_function_does(tokens: dict[str, str], request_id: str) -> None:
    path, query = f"/api/pending-responses/{request_id}", {"waitMs": "25000"}
    seen = ask("GET", path, query=query, token=tokens["svc"], context=Context(remaining_ms=2_200))
    assert (seen.status, seen.json["status"]) == (200, "pending")


def test_a_request_to_an_unknown_user_is_404(tokens: dict[str, str], mongodb: Mongo) -> None:
    answer = ask("POST", "/send-notification", {"username": "nobody"}, token=tokens["svc"])
    assert (answer.status, answer.json["detail"]) == (404, "There is no such user to ask.")
    assert mongodb.approvals.count_documents({}) == 0


@pytest.mark.parametrize(("name", "status"), [("ann", 403), ("svc", 202), ("olga", 202), ("admin", 202)])
def test_services_officers_and_administrators_may_ask(tokens: dict[str, str], name: str, status: int) -> None:
    body = {"username": "bob", "wait": False}
    assert ask("POST", "/send-notification", body, token=tokens[name]).status == status


# --- who may see and settle


@pytest.mark.parametrize(("name", "status"), [("ann", 200), ("bob", 403), ("svc", 200), ("olga", 403), ("admin", 200)])
def test_a_request_is_seen_by_creator_person_and_administrators(
    tokens: dict[str, str], request_id: str, name: str, status: int
) -> None:
    assert ask("GET", f"/api/pending-responses/{request_id}", token=tokens[name]).status == status


@pytest.mark.parametrize(("name", "status"), [("ann", 200), ("bob", 403), ("svc", 403), ("olga", 403), ("admin", 200)])
def test_a_request_is_answered_by_the_person_asked_and_administrators(
    tokens: dict[str, str], request_id: str, name: str, status: int
) -> None:
    answer = settle(request_id, "resolve", tokens[name])
    assert answer.status == status
    assert (answer.json["status"] == "resolved") == (status == 200)


@pytest.mark.parametrize(("name", "status"), [("ann", 403), ("bob", 403), ("svc", 200), ("olga", 403), ("admin", 200)])
def test_a_request_is_cancelled_by_its_creator_and_administrators(
    tokens: dict[str, str], request_id: str, name: str, status: int
) -> None:
    answer = settle(request_id, "cancel", tokens[name])
    assert answer.status == status
    assert (answer.json["status"] == "cancelled") == (status == 200)


def test_a_second_outcome_is_409(tokens: dict[str, str], request_id: str) -> None:
    assert settle(request_id, "resolve", tokens["ann"]).status == 200
    for how, name in (("resolve", "admin"), ("cancel", "svc"), ("cancel", "admin")):
        assert settle(request_id, how, tokens[name]).status == 409


def test_an_action_not_offered_is_422(tokens: dict[str, str], request_id: str) -> None:
    for path in (f"/api/pending-responses/{request_id}/resolve", "/api/user-action"):
        body = {"action": "maybe"} | ({"username": "ann"} if path.endswith("action") else {})
        answer = ask("POST", path, body, token=tokens["ann"])
        assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, ["action"])


@pytest.mark.parametrize(("name", "status"), [("ann", 200), ("bob", 403), ("svc", 403), ("admin", 200)])
@pytest.mark.usefixtures("request_id")
def test_the_oldest_request_is_answered_by_its_user_or_admins(tokens: dict[str, str], name: str, status: int) -> None:
    answer = ask("POST", "/api/user-action", {"username": "ann", "action": "approve"}, token=tokens[name])
    assert answer.status == status


def test_an_answer_without_a_pending_request_is_404(tokens: dict[str, str]) -> None:
    answer = ask("POST", "/api/user-action", {"username": "ann", "action": "approve"}, token=tokens["ann"])
    assert (answer.status, answer.json["detail"]) == (404, "This user has no pending request.")


def test_a_long_poll_answers_once_the_request_is_settled(tokens: dict[str, str], request_id: str) -> None:
    person = threading.Timer(0.2, settle, (request_id, "resolve", tokens["ann"]))
    person.start()
    seen = ask("GET", f"/api/pending-responses/{request_id}", query={"waitMs": "20000"}, token=tokens["svc"])
    person.join()
    assert (seen.status, seen.json["status"]) == (200, "resolved")


# --- lists


def test_users_list_their_own_requests_and_administrators_all(tokens: dict[str, str]) -> None:
    # Given
    for name in ("ann", "bob") * 2:
        ask("POST", "/send-notification", {"username": name, "wait": False}, token=tokens["svc"])

    def listed(name: str, **query: str) -> list[str]:
        found = ask("GET", "/api/pending-responses", query=query, token=tokens[name]).json
        return [item["username"] for item in found["items"]]

    # Then
    assert listed("admin") == ["bob", "ann"] * 2
    assert listed("ann") == listed("ann", username="ann") == listed("admin", username="ANN") == ["ann"] * 2
    assert listed("ann", status="resolved") == []
    assert ask("GET", "/api/pending-responses", query={"username": "bob"}, token=tokens["ann"]).status == 403


def test_a_cursor_of_another_query_is_refused(tokens: dict[str, str]) -> None:
    # Given
    for _ in range(3):
        ask("POST", "/send-notification", {"username": "ann", "wait": False}, token=tokens["svc"])
    page = ask("GET", "/api/pending-responses", query={"limit": "2"}, token=tokens["ann"]).json
    more = {"limit": "2", "cursor": page["nextCursor"]}
    # Then
    rest = ask("GET", "/api/pending-responses", query=more, token=tokens["ann"]).json
    assert len(page["items"] + rest["items"]) == 3
    assert rest["nextCursor"] is None
    other = ask("GET", "/api/pending-responses", query={**more, "status": "pending"}, token=tokens["ann"])
    assert other.status == 422


# --- cleaning up


def test_cleanup_records_overdue_requests_as_timeouts(tokens: dict[str, str], request_id: str, mongodb: Mongo) -> None:
    mongodb.approvals.update_one({"_id": request_id}, {"$set": {"expiresAt": ago(seconds=1)}})
    cleaned = [ask("POST", "/api/pending-responses/cleanup", token=tokens["admin"]).json for _ in range(2)]
    assert cleaned == [{"removed": 1}, {"removed": 0}]
    assert ask("POST", "/api/pending-responses/cleanup", token=tokens["svc"]).status == 403
    assert settle(request_id, "resolve", tokens["ann"]).status == 409


def test_a_page_of_large_requests_is_cut_and_continued(tokens: dict[str, str]) -> None:
    # Given seven questions of 900 KB each
    asked = {"username": "ann", "wait": False, "data": {"text": "x" * 900_000}}
    made = [ask("POST", "/send-notification", asked, token=tokens["svc"]).json["requestId"] for _ in range(7)]
    # When
    seen: list[str] = []
    sizes: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "50", **({"cursor": cursor} if cursor else {})}
        answer = ask("GET", "/api/pending-responses", token=tokens["ann"], query=query)
        assert answer.status == 200
        seen += [item["requestId"] for item in answer.json["items"]]
        sizes.append(len(answer.json["items"]))
        cursor = answer.json["nextCursor"]
    # Then
    assert seen == made[::-1]
    assert sizes == [5, 2]
