from datetime import datetime
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import users as users_slice
from chalicelib.core.web.roles import Role
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.sessions.store import SessionStore
from chalicelib.users import passwords
from chalicelib.users.models import User
from chalicelib.users.revocation import revoke
from chalicelib.users.store import UserStore
from tests.support.gateway import ask

Mongo = Database[dict[str, Any]]
PAIR = {"username": "ann", "password": "correct horse"}


@pytest.fixture
def ann(users: UserStore, mongodb: Mongo) -> User:
    return users.add("ann", passwords.hashed("correct horse"), [Role.USER])


def test_the_right_password_opens_a_session(ann: User) -> None:
    # When
    answer = ask("POST", "/api/sessions", PAIR)
    # Then
    assert answer.status == 201
    assert set(answer.json) == {"token", "sessionId", "username", "roles", "expiresAt"}
    assert (answer.json["username"], answer.json["roles"]) == ("ann", ["user"])
    assert answer.json["expiresAt"].endswith("Z")
    current = ask("GET", "/api/sessions/current", token=answer.json["token"]).json
    assert current["sessionId"] == answer.json["sessionId"]
    assert "token" not in current


def test_a_login_name_is_trimmed_and_lowercased(ann: User) -> None:
    assert ask("POST", "/api/sessions", {**PAIR, "username": " ANN "}).status == 201


def test_a_wrong_password_and_an_unknown_name_get_equal_answers(ann: User) -> None:
    wrong = ask("POST", "/api/sessions", {**PAIR, "password": "wrong"})
    unknown = ask("POST", "/api/sessions", {**PAIR, "username": "nobody"})
    assert wrong.status == unknown.status == 401
    assert wrong.text == unknown.text
    assert wrong.headers == unknown.headers


def test_a_removed_user_cannot_sign_in(ann: User, users: UserStore) -> None:
    users.remove("ann")
    assert ask("POST", "/api/sessions", PAIR).status == 401


def test_a_password_change_during_a_login_refuses_the_login(
    ann: User, users: UserStore, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a change of the password, and its revocation, right after the check of the old password
    check = users_slice.check

    def overtaken(username: str, password: str) -> User | None:
        found = check(username, password)
        revoke(users.change("ann", password_hash=passwords.hashed("another one"), roles=None))
        return found

    monkeypatch.setattr(users_slice, "check", overtaken)
    # When
    answer = ask("POST", "/api/sessions", PAIR)
    # Then
    assert answer.status == 401
    assert mongodb.sessions.count_documents({}) == 0


@pytest.mark.parametrize("change", ["roles", "removal"])
def test_a_change_of_the_user_during_a_login_refuses_the_login(
    ann: User, users: UserStore, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    # Given
    open_session = SessionStore.open

    def overtaken(store: SessionStore, *arguments: Any) -> Any:
        if change == "roles":
            revoke(users.change("ann", password_hash=None, roles=[Role.OFFICER]))
        else:
            revoke(users.remove("ann"), gone=True)
        return open_session(store, *arguments)

    monkeypatch.setattr(SessionStore, "open", overtaken)
    # Then
    assert ask("POST", "/api/sessions", PAIR).status == 401
    assert mongodb.sessions.count_documents({}) == 0


def test_signing_out_ends_the_current_session_alone(ann: User) -> None:
    first, second = (ask("POST", "/api/sessions", PAIR).json["token"] for _ in range(2))
    assert ask("DELETE", "/api/sessions/current", token=first).status == 204
    assert ask("GET", "/api/sessions/current", token=first).status == 401
    assert ask("GET", "/api/sessions/current", token=second).status == 200


def test_an_administrator_lists_and_ends_sessions(ann: User) -> None:
    # Given
    admin = sessions_wiring.store().open("admin", [Role.ADMIN], "e").token
    opened = [ask("POST", "/api/sessions", PAIR).json for _ in range(3)]
    # When
    page = ask("GET", "/api/sessions", query={"username": "ann", "limit": "2"}, token=admin).json
    query = {"username": "ann", "limit": "2", "cursor": page["nextCursor"]}
    rest = ask("GET", "/api/sessions", query=query, token=admin).json
    # Then
    listed = page["items"] + rest["items"]
    assert rest["nextCursor"] is None
    assert [item["sessionId"] for item in listed] == [one["sessionId"] for one in opened][::-1]
    assert all(datetime.fromisoformat(item["expiresAt"]) for item in listed)
    assert not any(one["token"] in str(listed) for one in opened)
    # And
    first = f"/api/sessions/{opened[0]['sessionId']}"
    assert [ask("DELETE", first, token=admin).status for _ in range(2)] == [204, 404]
    assert ask("DELETE", "/api/users/ann/sessions", token=admin).status == 204
    assert [ask("GET", "/api/sessions/current", token=one["token"]).status for one in opened] == [401] * 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sessions"),
        ("DELETE", "/api/sessions/01KAM2Q3R4S5T6V7W8X9Y0Z1A2"),
        ("DELETE", "/api/users/ann/sessions"),
    ],
)
def test_listing_and_ending_sessions_needs_an_administrator(sessions: SessionStore, method: str, path: str) -> None:
    officer = sessions.open("olga", [Role.OFFICER, Role.SERVICE, Role.USER], "e").token
    assert ask(method, path, token=officer).status == 403
