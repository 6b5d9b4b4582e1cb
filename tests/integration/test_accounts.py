"""A deleted user's name made anew inherits nothing, and an administrator always remains."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import requests

from chalicelib.core.stores.dynamodb import Table
from chalicelib.users.store import UserStore
from tests.faults.scale import times
from tests.support.approvals import APPROVALS, create_request, read_request, request_path
from tests.support.client import Client, Person, at_once, json_of, problem_of
from tests.support.stack import PASSWORD, STAGE, NewPerson

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def stored(dynamodb: Any) -> Iterator[Table]:
    yield Table(dynamodb, f"holdfast-{STAGE}-users")
    dynamodb.close()


@pytest.fixture(scope="module")
def users(stored: Table) -> UserStore:
    return UserStore(stored)


@pytest.fixture
def only(stored: Table, users: UserStore) -> Iterator[Callable[..., None]]:
    """Have the set of administrators name these alone: the first administrator's own session must live on."""

    def use(*names: str) -> None:
        change: dict[str, Any] = {"when": "", "values": {":names": frozenset(names)}, "names": {"#names": "names"}}
        stored.update("admins", "SET #names = :names", **change)

    yield use
    users.admins.seed()


@pytest.fixture
def old(person: NewPerson) -> Person:
    return person("service")


def made_anew(admin: Client, old: Person, *roles: str) -> Client:
    """Delete the user, make the name anew, and sign in."""
    assert admin.delete(f"/api/users/{old.username}").status_code == 204
    new = {"username": old.username, "password": PASSWORD, "roles": list(roles or ("service",))}
    json_of(admin.post("/api/users", new), 201)
    return Client(admin.url).signed_in(old.username, PASSWORD)


def test_a_name_made_anew_sees_no_question_of_the_old_account(admin: Client, old: Person, person: NewPerson) -> None:
    # Given a question to the old account, and a question by the old account
    to_old = create_request(admin, old.username)
    by_old = create_request(old.client, person().username)
    # When
    new = made_anew(admin, old)
    # Then
    assert json_of(new.get(APPROVALS))["items"] == []
    assert json_of(admin.get(f"{APPROVALS}?username={old.username}"))["items"] == []
    for request_id in (to_old, by_old):
        problem_of(new.get(request_path(request_id)), 403)
        problem_of(new.post(request_path(request_id, "resolve"), {"action": "approve"}), 403)
        problem_of(new.post(request_path(request_id, "cancel")), 403)
        assert read_request(admin, request_id)["status"] == "pending"
    act = {"username": old.username, "action": "approve"}
    problem_of(new.post("/api/user-action", act), 404)
    problem_of(admin.post("/api/user-action", act), 404)
    # And what is asked of the new account, the new account answers
    request_id = create_request(admin, old.username)
    assert json_of(new.post("/api/user-action", act))["requestId"] == request_id


def test_a_name_made_anew_gets_no_replay_and_another_secret(admin: Client, old: Person, person: NewPerson) -> None:
    # Given
    call = {"username": person().username, "wait": False}
    key = {"Idempotency-Key": "the-same"}
    first = json_of(old.client.post("/send-notification", call, headers=key), 202)
    assert json_of(old.client.post("/send-notification", call, headers=key), 202) == first
    secret = json_of(old.client.get("/api/callback-secret"))["secret"]
    # When
    new = made_anew(admin, old)
    # Then
    again = new.post("/send-notification", call, headers=key)
    assert json_of(again, 202)["requestId"] != first["requestId"]
    assert "Idempotency-Replayed" not in again.headers
    assert json_of(new.get("/api/callback-secret"))["secret"] != secret


def test_an_administrator_is_named_and_counts_once(admin: Client, person: NewPerson) -> None:
    # Given
    board = [person(), person(), person()]
    names = [member.username for member in board]
    request_id = create_request(admin, names[0], approvers=names[1:], required=3)
    # When
    json_of(admin.post("/api/user-action", {"username": names[0], "action": "approve"}))
    # Then
    for name in names[1:]:
        problem_of(admin.post("/api/user-action", {"username": name, "action": "approve"}), 409)
    problem_of(admin.post(request_path(request_id, "resolve"), {"action": "approve"}), 409)
    problem_of(board[0].client.post(request_path(request_id, "resolve"), {"action": "approve"}), 409)
    json_of(board[1].client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    settled = json_of(board[2].client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    assert settled["status"] == "resolved"
    by = [(answer["username"], answer["by"]) for answer in settled["answers"]]
    assert by == [(names[0], "admin"), (names[1], names[1]), (names[2], names[2])]


def test_the_last_administrator_cannot_leave(admin: Client, only: Callable[..., None]) -> None:
    only("admin")
    for refused in (admin.delete("/api/users/admin"), _demoted(admin, "admin")):
        assert "Give another user the role admin first." in problem_of(refused, 409)["detail"]
    assert json_of(admin.get("/api/users/admin"))["roles"] == ["admin"]


def test_two_administrators_who_demote_each_other_leave_one(
    admin: Client, person: NewPerson, users: UserStore, only: Callable[..., None]
) -> None:
    # Given
    pair = [person("admin"), person("admin")]
    names = [who.username for who in pair]
    callers = [who.client for who in pair]
    for _ in range(times(50)):
        only(*names)
        # When
        answers = at_once([partial(_demoted, callers[0], names[1]), partial(_demoted, callers[1], names[0])])
        # Then
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses in ([200, 401], [200, 409])
        (left,) = users.admins.names()
        lost = 1 - names.index(left)
        assert json_of(admin.get(f"/api/users/{left}"))["roles"] == ["admin"]
        # And the other one is an administrator again
        json_of(admin.call("PATCH", f"/api/users/{names[lost]}", {"roles": ["admin"]}))
        callers[lost] = admin.signed_in(names[lost], PASSWORD)


def _demoted(by: Client, username: str) -> requests.Response:
    return by.call("PATCH", f"/api/users/{username}", {"roles": ["user"]})
