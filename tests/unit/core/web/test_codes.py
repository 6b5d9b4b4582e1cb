"""Every problem has a code; the description lists the codes of each route and status."""

from http import HTTPStatus
from typing import Any

import pytest

from app import app
from chalicelib.core.errors import CODES, ServiceError
from chalicelib.core.web.roles import PUBLIC
from chalicelib.core.web.routes import Endpoint
from tests.support.gateway import ask
from tests.unit.core.web.test_openapi import operation

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = ask("GET", "/openapi.json").json
    return found


def codes(described: dict[str, Any]) -> dict[int, set[str]]:
    """Return the codes of every status of an operation."""
    found = {}
    for status, response in described["responses"].items():
        if PROBLEM in response.get("content", {}):
            reference, own = response["content"][PROBLEM]["schema"]["allOf"]
            assert reference == {"$ref": "#/components/schemas/Problem"}
            found[int(status)] = set(own["properties"]["code"]["enum"])
    return found


@pytest.mark.parametrize("endpoint", app.endpoints, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_description_lists_the_codes_that_the_route_declares(document: dict[str, Any], endpoint: Endpoint) -> None:
    listed = codes(operation(document, endpoint))
    for status in set(listed) | {error.status for error in endpoint.raises}:
        declared = {error.code for error in endpoint.raises if error.status == status}
        # Beside the handler's errors, the platform's own.
        assert declared <= listed[status] <= declared | platform(endpoint, status)


def platform(endpoint: Endpoint, status: int) -> set[str]:
    """Return the codes of *status* that the platform itself answers with on the way to a handler."""
    found = {CODES[HTTPStatus(status)]} if HTTPStatus(status) in CODES else set()
    if status == HTTPStatus.FORBIDDEN and endpoint.method != "GET":
        found |= {"origin-refused"}
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and endpoint.method == "POST" and endpoint.roles != PUBLIC:
        found |= {"idempotency-key-reused"}
    if status == HTTPStatus.CONFLICT:
        found = {"still-answering"} if endpoint.method == "POST" and endpoint.roles != PUBLIC else set()
        found |= {"shown-once", "claim-lost"} if endpoint.secret else set()
    return found


def test_different_conflicts_of_one_route_have_different_codes(document: dict[str, Any]) -> None:
    change = document["paths"]["/api/applications/{applicationId}"]["put"]
    assert codes(change)[409] == {"version-conflict", "wrong-state"}
    answered = document["paths"]["/api/pending-responses/{requestId}/resolve"]["post"]
    assert codes(answered)[409] == {"already-settled", "already-answered", "still-answering"}


def test_problem_carries_type_and_code_of_its_error() -> None:
    class Odd(ServiceError):
        """An odd case."""

        status = HTTPStatus.CONFLICT
        code = "odd-case"

    problem = Odd().problem("r-1")
    assert (problem["type"], problem["code"], problem["status"]) == ("/problems/odd-case", "odd-case", 409)
    assert problem["detail"] == "An odd case."


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", "not-found"),
        ("PUT", "/health", "method-not-allowed"),
        ("GET", "/api/applications", "unauthenticated"),
    ],
)
def test_problem_of_the_platform_has_the_code_of_its_status(method: str, path: str, code: str) -> None:
    problem = ask(method, path).json
    assert (problem["type"], problem["code"]) == (f"/problems/{code}", code)
