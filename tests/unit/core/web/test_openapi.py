import json
import re
from typing import Any
from urllib.parse import urljoin

import pytest
import schemathesis

from app import app
from chalicelib.core.web.roles import PUBLIC
from chalicelib.core.web.routes import Endpoint
from tests.support.gateway import ask


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer = ask("GET", "/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json
    return found


def operation(document: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """Return the document's operation of *endpoint*; names of path parameters may differ."""
    shape = re.sub(r"\{\w+\}", "{}", endpoint.path)
    (found,) = [item for path, item in document["paths"].items() if re.sub(r"\{\w+\}", "{}", path) == shape]
    described: dict[str, Any] = found[endpoint.method.lower()]
    return described


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


def test_validation_refuses_a_broken_document(document: dict[str, Any]) -> None:
    broken = {name: value for name, value in document.items() if name != "info"}
    with pytest.raises(ValueError, match=r'"info" is a required property'):
        schemathesis.openapi.from_dict(broken).validate()


def test_document_describes_exactly_the_served_routes(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path, item in document["paths"].items() for method in item
    }
    served = {(method, re.sub(r"\{\w+\}", "{}", path)) for path, methods in app.routes.items() for method in methods}
    assert described == served


def test_every_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [found["operationId"] for item in document["paths"].values() for found in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("endpoint", app.endpoints, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_operation_describes_demands_and_answers_of_its_route(document: dict[str, Any], endpoint: Endpoint) -> None:
    # Given
    described = operation(document, endpoint)
    statuses = set(described["responses"])
    # Then
    assert described["summary"]
    # Markdown takes indented lines for code.
    assert "\n    " not in f"\n{described['description']}"
    # A stream answers 200 whatever happens: its failures are events.
    refuses = not endpoint.stream and (endpoint.roles != PUBLIC or "401" in raised(endpoint))
    assert ("401" in statuses) == refuses
    assert bool(described["security"]) == (endpoint.roles != PUBLIC)
    assert ("requestBody" in described) == (endpoint.body is not None)
    assert {str(status) for status in endpoint.answers} <= statuses
    assert raised(endpoint) <= statuses
    assert ({"405"} if endpoint.stream else {"405", "503"}) <= statuses
    in_path = {found["name"] for found in described["parameters"] if found["in"] == "path"}
    assert len(in_path) == len(endpoint.params) == endpoint.path.count("{")


def raised(endpoint: Endpoint) -> set[str]:
    return {str(int(error.status)) for error in endpoint.raises}


def test_every_reference_names_a_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_an_error_is_described_as_a_problem(document: dict[str, Any]) -> None:
    refused = document["paths"]["/send-notification"]["post"]["responses"]["422"]
    assert list(refused["content"]) == ["application/problem+json"]
    assert document["components"]["schemas"]["Problem"]["required"]


def test_body_excludes_ids_that_are_words_of_routes(document: dict[str, Any]) -> None:
    body = document["paths"]["/api/applications"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["allOf"][1] == {"properties": {"applicationId": {"not": {"enum": ["batch-update"]}}}}


def test_schema_has_wire_names_and_refuses_unknown_fields(document: dict[str, Any]) -> None:
    new = document["components"]["schemas"]["NewApproval"]
    assert {"username", "timeoutMs", "data"} <= set(new["properties"])
    assert new["additionalProperties"] is False
    assert new["required"] == ["username"]


def test_no_schema_has_an_internal_field(document: dict[str, Any]) -> None:
    shown = {name for schema in document["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert not {"purgeAt", "outbox", "passwordHash", "epoch", "_id"} & shown
    assert not [name for name in shown if "_" in name]


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for item in document["paths"].values() for found in item.values()]


def test_every_operation_is_tagged_with_its_slice(document: dict[str, Any]) -> None:
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(described.values())
    assert {name for found in operations(document) for name in found["tags"]} == set(described)
    assert document["paths"]["/send-notification"]["post"]["tags"] == ["approvals"]


def test_every_path_parameter_is_described(document: dict[str, Any]) -> None:
    in_path = [each for found in operations(document) for each in found["parameters"] if each["in"] == "path"]
    assert in_path
    assert all(each["description"] for each in in_path)


def test_query_parameter_without_a_default_is_required(document: dict[str, Any]) -> None:
    purge = document["paths"]["/api/admin/queues/{queue}/dead"]["delete"]["parameters"]
    assert {each["name"]: each["required"] for each in purge} == {"queue": True, "confirm": True}


def test_the_server_is_where_the_document_was_read(document: dict[str, Any]) -> None:
    (server,) = document["servers"]
    read_at = "https://abc.execute-api.eu-central-1.amazonaws.com/api/openapi.json"
    assert urljoin(read_at, server["url"]) + "ready" == read_at.replace("openapi.json", "ready")


def test_sessions_are_shown_by_header_or_cookie(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["cookie"]["name"] == "__Host-holdfast"
    wanted: list[dict[str, list[str]]] = [{"session": []}, {"cookie": []}]
    assert document["paths"]["/api/sessions/current"]["get"]["security"] == wanted
    assert {name for found in operations(document) for each in found["security"] for name in each} <= set(schemes)


def test_examples_stand_with_their_operations(document: dict[str, Any]) -> None:
    made = document["paths"]["/api/applications"]["post"]
    assert made["requestBody"]["content"]["application/json"]["example"]["applicationId"] == "A-1001"
    assert made["responses"]["201"]["content"]["application/json"]["example"]["version"] == 1
