"""Signing in and out; an ended session is invalid at once on every instance."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from pymongo.database import Database

from infra.local.stack import Stack
from tests.support.client import Client, Person, at_once, json_of, problem_of
from tests.support.stack import PASSWORD, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

CURRENT = "/api/sessions/current"
#: So many processes must accept the session before its end, and refuse the session after.
INSTANCES = 3


def _log_out(admin: Client, who: Person) -> requests.Response:
    return who.client.delete(CURRENT)


def _end_one(admin: Client, who: Person) -> requests.Response:
    return admin.delete(f"/api/sessions/{json_of(who.client.get(CURRENT))['sessionId']}")


def _end_all(admin: Client, who: Person) -> requests.Response:
    return admin.delete(f"/api/users/{who.username}/sessions")


def _change_password(admin: Client, who: Person) -> requests.Response:
    return admin.call("PATCH", f"/api/users/{who.username}", {"password": "another password"})


def _change_roles(admin: Client, who: Person) -> requests.Response:
    return admin.call("PATCH", f"/api/users/{who.username}", {"roles": ["officer"]})


def _delete_user(admin: Client, who: Person) -> requests.Response:
    return admin.delete(f"/api/users/{who.username}")


@pytest.mark.parametrize("ending", [_log_out, _end_one, _end_all, _change_password, _change_roles, _delete_user])
def test_an_ended_session_is_refused_at_once_by_every_instance(
    stack: Stack, admin: Client, person: NewPerson, ending: Callable[[Client, Person], requests.Response]
) -> None:
    # Given a session that several processes accepted, and another user's session
    who, bystander = person(), person()
    direct = who.client.at(stack.api_url)
    knowing: set[str] = set()

    def burst() -> list[requests.Response]:
        return at_once([partial(direct.get, CURRENT)] * (2 * INSTANCES))

    def known() -> bool:
        knowing.update(answer.headers["X-Instance-Id"] for answer in burst() if json_of(answer))
        return len(knowing) >= INSTANCES

    eventually(known)
    # When the session is ended
    assert ending(admin, who).status_code in {200, 204}
    # Then each of these processes refuses the session
    refusing: set[str] = set()

    def shut_out() -> bool:
        for answer in burst():
            problem_of(answer, 401)
            refusing.add(answer.headers["X-Instance-Id"])
        return len(knowing & refusing) >= INSTANCES

    eventually(shut_out)
    json_of(bystander.client.get(CURRENT))


def test_a_session_is_shown_without_its_token(admin: Client, person: NewPerson) -> None:
    who = person("officer", "service")
    shown = json_of(who.client.get(CURRENT))
    assert (shown["username"], shown["roles"]) == (who.username, ["officer", "service"])
    listed = admin.get(f"/api/sessions?username={who.username}")
    assert json_of(listed)["items"] == [shown]
    assert (who.client.token or "") not in listed.text


def test_only_a_hash_of_the_token_is_stored(person: NewPerson, database: Database[dict[str, Any]]) -> None:
    who = person()
    stored = database.sessions.find_one({"username": who.username})
    assert (who.client.token or "") not in repr(stored)
    # The stored hash is no token.
    problem_of(Client(who.client.url, str((stored or {})["_id"])).get(CURRENT), 401)


def test_a_wrong_name_and_a_wrong_password_get_the_same_detail(stack: Stack, person: NewPerson) -> None:
    anyone = Client(stack.url)
    wrong = [
        {"username": person().username, "password": "not the password"},
        {"username": "nobody-of-that-name", "password": PASSWORD},
    ]
    first, second = (problem_of(anyone.post("/api/sessions", pair), 401) for pair in wrong)
    assert first["detail"] == second["detail"]


def test_a_user_may_end_sessions_separately(admin: Client, person: NewPerson) -> None:
    who = person()
    again = who.client.signed_in(who.username, who.password)
    assert who.client.delete(CURRENT).status_code == 204
    json_of(again.get(CURRENT))
    problem_of(who.client.delete(CURRENT), 401)


def test_the_end_of_an_unknown_session_is_404(admin: Client) -> None:
    problem_of(admin.delete("/api/sessions/01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sessions"),
        ("DELETE", "/api/sessions/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("DELETE", "/api/users/admin/sessions"),
        ("POST", "/api/users"),
        ("GET", "/api/users"),
        ("GET", "/api/users/admin"),
        ("PATCH", "/api/users/admin"),
        ("DELETE", "/api/users/admin"),
    ],
)
def test_routes_of_administrators_are_forbidden_to_others(
    stack: Stack, officer: Client, admin: Client, method: str, path: str
) -> None:
    problem_of(officer.call(method, path), 403)
    problem_of(Client(stack.url).call(method, path), 401)


@pytest.fixture(scope="module")
def officer(person: NewPerson) -> Client:
    """A user with every role except admin."""
    return person("officer", "service", "user").client
