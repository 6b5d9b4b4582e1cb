"""Rights to ask, answer, cancel and read approvals; and their lists."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from tests.support.approvals import APPROVALS, await_timeout, create_request, pending, read_request, request_path
from tests.support.client import Client, Person, json_of, problem_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def test_a_question_without_a_waiter_may_last_a_week(admin: Client, person: NewPerson) -> None:
    week_ms = 7 * 24 * 3_600_000
    new = {"username": person().username, "wait": False, "timeoutMs": week_ms}
    accepted = json_of(admin.post("/send-notification", new), 202)
    assert set(accepted) == {"requestId", "status", "expiresAt"}
    left = datetime.fromisoformat(accepted["expiresAt"]) - datetime.now(UTC)
    assert abs(left - timedelta(milliseconds=week_ms)) < timedelta(seconds=10)


def test_a_request_reads_back_unchanged(admin: Client, person: NewPerson) -> None:
    username = person().username
    sent = {
        "title": "$$NOW and $title",
        "body": "line\nline\u0000\U0001f600",
        "data": {"$where": "1", "a.b": {"$ne": None, "": []}, "n": 12345678901234567890, "x": -0.5},
        "actions": ["$status", "a.b", "\u00e9"],
    }
    request_id = create_request(admin, username, **sent)
    document = read_request(admin, request_id)
    assert {name: document[name] for name in sent} == sent
    named = {"requestId", "username", "status", "action", "createdBy", "createdAt", "expiresAt", "resolvedAt"}
    assert named | {"responseMs"} <= set(document)
    # An action with a dollar is no path into the document.
    assert json_of(admin.post(request_path(request_id, "resolve"), {"action": "$status"}))["action"] == "$status"
    assert read_request(admin, request_id)["action"] == "$status"


def test_a_question_to_an_unknown_user_is_404(admin: Client) -> None:
    problem_of(admin.post("/send-notification", {"username": "nobody-of-that-name"}), 404)


@pytest.mark.parametrize(("role", "status"), [("user", 403), ("service", 202), ("officer", 202), ("admin", 202)])
def test_only_some_roles_may_ask(person: NewPerson, role: str, status: int) -> None:
    username = person().username
    answer = person(role).client.post("/send-notification", {"username": username, "wait": False})
    assert answer.status_code == status


Call = Callable[[Client, str], Any]


def _read(client: Client, request_id: str) -> Any:
    return client.get(request_path(request_id))


def _poll(client: Client, request_id: str) -> Any:
    return client.get(request_path(request_id) + "?waitMs=1000")


def _resolve(client: Client, request_id: str) -> Any:
    return client.post(request_path(request_id, "resolve"), {"action": "approve"})


def _cancel(client: Client, request_id: str) -> Any:
    return client.post(request_path(request_id, "cancel"))


@pytest.fixture(scope="module")
def people(person: NewPerson, admin: Client) -> dict[str, Person]:
    """The asking caller, the asked user, another caller, another user, and an administrator."""
    return {
        "caller": person("service"),
        "asked": person("user"),
        "another caller": person("service", "officer"),
        "another user": person("user"),
        "admin": person("admin"),
    }


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        (_read, {"caller", "asked", "admin"}),
        (_resolve, {"asked", "admin"}),
        (_cancel, {"caller", "admin"}),
    ],
)
def test_each_person_may_do_what_the_role_in_the_request_allows(
    people: dict[str, Person], call: Call, allowed: set[str]
) -> None:
    caller, username = people["caller"].client, people["asked"].username
    for name, who in people.items():
        request_id = create_request(caller, username)
        answer = call(who.client, request_id)
        if name in allowed:
            json_of(answer)
        else:
            problem_of(answer, 403)
            assert read_request(caller, request_id)["status"] == "pending"


@pytest.mark.parametrize("call", [_read, _poll, _resolve, _cancel])
def test_an_unknown_request_is_404(admin: Client, call: Call) -> None:
    problem_of(call(admin, "01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404)


@pytest.mark.parametrize("first", [_resolve, _cancel])
@pytest.mark.parametrize("second", [_resolve, _cancel])
def test_a_settled_request_does_not_change(admin: Client, person: NewPerson, first: Call, second: Call) -> None:
    request_id = create_request(admin, person().username)
    settled = json_of(first(admin, request_id))
    problem_of(second(admin, request_id), 409)
    assert read_request(admin, request_id) == settled


def test_an_action_not_offered_is_422_and_changes_nothing(admin: Client, person: NewPerson) -> None:
    asked_one = person()
    request_id = create_request(admin, asked_one.username, actions=["yes"])
    for path, body in (
        (request_path(request_id, "resolve"), {"action": "approve"}),
        ("/api/user-action", {"username": asked_one.username, "action": "approve"}),
    ):
        problem = problem_of(asked_one.client.post(path, body), 422)
        assert [error["path"] for error in problem["errors"]] == ["action"]
    assert read_request(admin, request_id)["status"] == "pending"


def test_a_user_action_answers_the_oldest_request_first(admin: Client, person: NewPerson) -> None:
    asked_one = person()
    username = asked_one.username
    first, second, third = (create_request(admin, username) for _ in range(3))
    json_of(admin.post(request_path(first, "cancel")))
    act = {"username": username, "action": "approve"}
    assert json_of(asked_one.client.post("/api/user-action", act))["requestId"] == second
    assert json_of(admin.post("/api/user-action", act))["requestId"] == third
    problem_of(asked_one.client.post("/api/user-action", act), 404)


def test_a_user_action_for_another_user_is_403(admin: Client, person: NewPerson) -> None:
    username = person().username
    create_request(admin, username)
    act = {"username": username, "action": "approve"}
    for other in (person("user"), person("service", "officer")):
        problem_of(other.client.post("/api/user-action", act), 403)
    assert len(pending(admin, username)) == 1


@pytest.mark.usefixtures("unswept")
def test_a_cleanup_records_overdue_requests_alone(
    admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    username = person().username
    late, alive = (create_request(admin, username, timeoutMs=600_000) for _ in range(2))
    # The timeout of a shorter one would be recorded by its worker.
    database.approvals.update_one({"_id": late}, [{"$set": {"expiresAt": "$createdAt"}}])
    await_timeout(admin, username, late)
    assert json_of(admin.post(f"{APPROVALS}/cleanup"))["removed"] >= 1
    stored = {document["_id"]: document for document in database.approvals.find({"username": username})}
    assert (stored[late]["status"], stored[alive]["status"]) == ("timeout", "pending")
    problem_of(person("officer").client.post(f"{APPROVALS}/cleanup"), 403)


def test_pages_of_requests_are_newest_first_and_follow_each_other(admin: Client, person: NewPerson) -> None:
    username = person().username
    made = [create_request(admin, username) for _ in range(5)]
    seen: list[str] = []
    path = f"{APPROVALS}?username={username}&limit=2"
    page = json_of(admin.get(path))
    seen += [item["requestId"] for item in page["items"]]
    while page["nextCursor"]:
        page = json_of(admin.get(f"{path}&cursor={page['nextCursor']}"))
        seen += [item["requestId"] for item in page["items"]]
    assert seen == sorted(made, reverse=True)


def test_a_cursor_of_another_query_is_refused(admin: Client, person: NewPerson) -> None:
    username = person().username
    for _ in range(2):
        create_request(admin, username)
    cursor = json_of(admin.get(f"{APPROVALS}?username={username}&limit=1"))["nextCursor"]
    last = "A" if cursor[-1] != "A" else "B"
    for query in (
        f"username={username}&cursor={cursor[:-1]}{last}",
        f"username={username}&cursor={cursor.partition('.')[0]}",
        f"username={username}&status=pending&cursor={cursor}",
        f"cursor={cursor}",
    ):
        problem = problem_of(admin.get(f"{APPROVALS}?{query}"), 422)
        assert [error["path"] for error in problem["errors"]] == ["cursor"]


@pytest.mark.usefixtures("unswept")
def test_a_request_is_listed_under_its_own_status_alone(admin: Client, person: NewPerson) -> None:
    # Given a request of every status, with an unrecorded timeout
    username = person().username
    made = {state: create_request(admin, username, timeoutMs=60_000) for state in ("pending", "resolved", "cancelled")}
    made["timeout"] = create_request(admin, username, timeoutMs=1000)
    json_of(_resolve(admin, made["resolved"]))
    json_of(_cancel(admin, made["cancelled"]))
    eventually(lambda: read_request(admin, made["timeout"])["status"] == "timeout")
    for state, request_id in made.items():
        # When the list is filtered by status
        page = json_of(admin.get(f"{APPROVALS}?username={username}&status={state}"))
        # Then the request of that status alone is listed
        assert [(item["requestId"], item["status"]) for item in page["items"]] == [(request_id, state)]


def test_a_user_lists_own_requests_alone(admin: Client, person: NewPerson) -> None:
    asked_one, other = person(), person()
    mine, theirs = create_request(admin, asked_one.username), create_request(admin, other.username)
    assert [item["requestId"] for item in json_of(asked_one.client.get(APPROVALS))["items"]] == [mine]
    problem_of(asked_one.client.get(f"{APPROVALS}?username={other.username}"), 403)
    everyone = {item["requestId"] for item in json_of(admin.get(f"{APPROVALS}?limit=200"))["items"]}
    assert {mine, theirs} <= everyone
