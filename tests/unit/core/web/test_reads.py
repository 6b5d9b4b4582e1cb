"""HEAD without a session, and parameters given twice."""

from typing import Any

import pytest
from pymongo.database import Database

from app import app
from chalicelib.core.web.roles import Role
from infra.server.wsgi import Places, Server
from tests.support.gateway import ask, event, invoke
from tests.support.users import signed_in
from tests.unit.infra.test_wsgi import call


@pytest.fixture
def admin(dynamodb: Any, mongodb: Database[dict[str, Any]]) -> str:
    return signed_in("root", Role.ADMIN)


@pytest.mark.parametrize("path", ["/health", "/ready", "/openapi.json"])
def test_head_answers_like_get_without_a_body(path: str, dynamodb: Any, mongodb: Any) -> None:
    head, get = ask("HEAD", path), ask("GET", path)
    assert (head.status, head.text) == (get.status, "")
    assert head.headers["Content-Type"] == get.headers["Content-Type"] == "application/json"


def test_server_answers_head_without_a_body() -> None:
    answer = call(Server(app, Places(1, 1)), "HEAD", "/health")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", ["/api/users", "/send-notification", "/api/sessions"])
def test_head_of_a_path_with_sessions_is_405(admin: str, path: str) -> None:
    answer = ask("HEAD", path, token=admin)
    assert answer.status == 405
    assert "HEAD" not in answer.headers["Allow"]


@pytest.mark.parametrize(("path", "name"), [("/api/users", "limit"), ("/api/pending-responses", "status")])
def test_parameter_given_twice_is_invalid(admin: str, path: str, name: str) -> None:
    sent = event("health") | {"path": path, "resource": path}
    sent["requestContext"] |= {"resourcePath": path}
    sent["headers"] |= {"Authorization": f"Bearer {admin}"}
    sent |= {"queryStringParameters": {name: "2"}, "multiValueQueryStringParameters": {name: ["1", "2"]}}
    answer = invoke(sent)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, name)
    assert "more than once" in answer.json["errors"][0]["message"]
