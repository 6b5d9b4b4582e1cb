"""Bodies are UTF-8, at every entry point: bytes that a gateway replaces would make two passwords one."""

import base64
from typing import Any

import pytest
from pymongo.database import Database

from app import app
from chalicelib.core.web.roles import Role
from chalicelib.users.store import UserStore
from infra.server.wsgi import Places, Server
from tests.support.gateway import Answer, ask, event, invoke
from tests.support.users import signed_in
from tests.unit.infra.test_wsgi import call

Mongo = Database[dict[str, Any]]

#: Of two bytes and of one, neither of them UTF-8.
BROKEN = [b"\xff", b"\xc3\x28", b"\xed\xa0\x80"]


@pytest.fixture
def admin(dynamodb: Any, mongodb: Mongo) -> str:
    return signed_in("root", Role.ADMIN)


def new_user(secret: bytes) -> bytes:
    return b'{"username": "ann", "roles": ["user"], "password": "correct horse ' + secret + b'"}'


def in_base64(body: bytes, token: str) -> Answer:
    """Make a user as a gateway does that passes bodies as base64."""
    sent = event("login-base64") | {"path": "/api/users", "resource": "/api/users"}
    sent["requestContext"] |= {"resourcePath": "/api/users"}
    sent["headers"] |= {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return invoke(sent | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True})


@pytest.mark.parametrize("secret", BROKEN)
def test_body_with_bytes_replaced_by_the_gateway_is_400(admin: str, users: UserStore, secret: bytes) -> None:
    answer = ask("POST", "/api/users", text=new_user(secret).decode(errors="replace"), token=admin)
    assert answer.status == 400
    assert "UTF-8" in answer.json["detail"]
    assert users.find("ann") is None


@pytest.mark.parametrize("secret", BROKEN)
def test_base64_body_that_is_not_utf8_is_400(admin: str, secret: bytes) -> None:
    assert in_base64(new_user(secret), admin).status == 400
    assert in_base64(new_user("é".encode()), admin).status == 201


@pytest.mark.parametrize("secret", BROKEN)
def test_body_that_is_not_utf8_is_400_at_the_server(admin: str, secret: bytes) -> None:
    server, headers = Server(app, Places(1, 1)), {"HTTP_AUTHORIZATION": f"Bearer {admin}"}
    sent = {"CONTENT_TYPE": "application/json", **headers}
    assert call(server, "POST", "/api/users", body=new_user(secret), **sent).status == 400
    assert call(server, "POST", "/api/users", body=new_user("\U0001f600".encode()), **sent).status == 201


def test_body_that_no_gateway_sends_is_400(admin: str) -> None:
    assert ask("POST", "/api/users", text=new_user(b"").decode() + "\ud800", token=admin).status == 400


def test_keyed_call_without_fields_still_needs_utf8(admin: str) -> None:
    keyed = {"Idempotency-Key": "one"}
    assert ask("POST", "/api/pending-responses/cleanup", text="\ufffd", token=admin, headers=keyed).status == 400


def test_escaped_replacement_character_is_accepted(admin: str) -> None:
    assert ask("POST", "/api/users", text=new_user(rb"\ufffd").decode(), token=admin).status == 201
