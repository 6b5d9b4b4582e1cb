"""Refusals with one status and several meanings have a code for each meaning."""

from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.store import UserStore
from tests.support.gateway import ask
from tests.support.users import signed_in

Mongo = Database[dict[str, Any]]


@pytest.fixture
def ann(users: UserStore, mongodb: Mongo) -> str:
    return signed_in("ann", Role.USER)


@pytest.fixture
def admin(users: UserStore, mongodb: Mongo) -> str:
    return signed_in("admin-1", Role.ADMIN)


def test_a_call_without_the_role_is_forbidden(ann: str) -> None:
    answer = ask("GET", "/api/users", token=ann)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


def test_a_call_for_anothers_data_is_not_yours(ann: str) -> None:
    answer = ask("GET", "/api/pending-responses", query={"username": "bob"}, token=ann)
    assert (answer.status, answer.json["code"]) == (403, "not-yours")


def test_a_call_by_cookie_of_a_foreign_page_is_origin_refused(users: UserStore, mongodb: Mongo) -> None:
    users.add("ann", passwords.hashed("correct horse"), [Role.USER])
    pair = {"username": "ann", "password": "correct horse", "cookie": True}
    cookie = ask("POST", "/api/sessions", pair).headers["Set-Cookie"].partition(";")[0]
    sent = {"Cookie": cookie, "Origin": "https://evil.example.com"}
    answer = ask("DELETE", "/api/sessions/current", headers=sent)
    assert (answer.status, answer.json["code"]) == (403, "origin-refused")


def test_a_key_used_for_another_body_is_a_reused_key(admin: str) -> None:
    key = {"Idempotency-Key": "k-1"}
    new = {"username": "ben", "password": "correct horse", "roles": ["user"]}
    assert ask("POST", "/api/users", new, token=admin, headers=key).status == 201
    answer = ask("POST", "/api/users", new | {"username": "cem"}, token=admin, headers=key)
    assert (answer.status, answer.json["code"]) == (422, "idempotency-key-reused")
    assert answer.json["errors"] == [{"path": "Idempotency-Key", "message": "was used for another request"}]


@pytest.mark.parametrize(("method", "path"), [("get", "/api/devices"), ("put", "/api/devices/{deviceId}")])
def test_only_a_call_that_changes_something_may_be_origin_refused(method: str, path: str) -> None:
    described = ask("GET", "/openapi.json").json["paths"][path][method]["responses"]["403"]
    assert ("origin-refused" in str(described)) == (method != "get")
