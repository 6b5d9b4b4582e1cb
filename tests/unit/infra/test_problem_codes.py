"""Problems that the gateway, the local proxy and the server answer with themselves carry a code, like the API's own."""

import json
from typing import Any

import pytest
from aiohttp import web

from app import app
from chalicelib.core.errors import CODES, problem
from infra.local.proxy import problems
from infra.server.wsgi import Places, Server
from tests.unit.infra.build import Built
from tests.unit.infra.test_wsgi import call


def test_every_problem_of_the_gateway_has_the_code_of_its_status(built: Built) -> None:
    definition = built.package.app["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    responses = definition["x-amazon-apigateway-gateway-responses"]
    made = {kind: json.loads(response["responseTemplates"]["application/json"]) for kind, response in responses.items()}
    assert {kind: found["code"] for kind, found in made.items() if kind in {"THROTTLED", "INTEGRATION_TIMEOUT"}} == {
        "THROTTLED": "too-many-requests",
        "INTEGRATION_TIMEOUT": "gateway-timeout",
    }
    for found in made.values():
        check(found)


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (problems.crowded(), "unavailable"),
        (problems.too_slow(), "request-timeout"),
        (problems.too_large(), "too-large"),
        (problems.unreachable(), "unavailable"),
        (problems.broken(), "bad-gateway"),
    ],
)
def test_every_problem_of_the_proxy_has_the_code_of_its_status(made: web.Response, code: str) -> None:
    found = json.loads(str(made.text))
    check(found)
    assert found["code"] == code


def test_problem_of_the_server_has_a_code() -> None:
    response = call(Server(app, Places(1, 1)), "POST", "/api/sessions", body=b"{}", CONTENT_LENGTH="50")
    check(response.json)
    assert response.json["code"] == "malformed"


def test_problem_of_a_status_without_a_code_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        problem(418, "A teapot.", "r-1")  # type: ignore[arg-type]


def check(found: dict[str, Any]) -> None:
    """Check that code, type and status of a problem agree."""
    assert found["type"] == f"/problems/{found['code']}"
    assert CODES[found["status"]] == found["code"]
