"""Calls of the application object with API Gateway's events."""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from app import app
from chalicelib.core.errors import PROBLEM
from chalicelib.core.web.application import App
from chalicelib.core.web.openapi import errors_of

EVENTS = Path(__file__).resolve().parents[1] / "events"


@dataclass
class Context:
    """The Lambda context of an invocation."""

    remaining_ms: int = 29_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Answer:
    """An answer in API Gateway's form."""

    status: int
    headers: dict[str, str]
    text: str
    own: dict[str, Any] = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def event(name: str) -> dict[str, Any]:
    """Return a recorded event."""
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def invoke(sent: dict[str, Any], context: Context | None = None, at: App = app) -> Answer:
    """Call the application with an event; fail if the application changes the event."""
    before = copy.deepcopy(sent)
    answer = at(sent, context or Context())
    assert sent == before
    # The gateway takes JSON alone.
    answer = json.loads(json.dumps(answer))
    return Answer(answer["statusCode"], answer["headers"], answer["body"], answer)


def ask(
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    text: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    context: Context | None = None,
    at: App = app,
) -> Answer:
    """Call a route. *body* is encoded as JSON; *text* is sent unchanged.

    Fail if the route answers with a problem that its description does not list.
    """
    sent = event("health")
    resource, params = _routed(path, at)
    sent |= {"httpMethod": method, "path": path, "resource": resource, "pathParameters": params or None}
    sent["requestContext"] |= {"httpMethod": method, "resourcePath": resource}
    given = dict(headers or {})
    if token:
        given["Authorization"] = f"Bearer {token}"
    if body is not None or text is not None:
        given.setdefault("Content-Type", "application/json")
        sent["body"] = text if text is not None else json.dumps(body)
    sent["headers"] |= given
    sent["multiValueHeaders"] |= {name: [value] for name, value in given.items()}
    if query:
        sent["queryStringParameters"] = dict(query)
        sent["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    answer = invoke(sent, context, at)
    _check_described(at, method, resource, answer)
    return answer


def _check_described(at: App, method: str, resource: str, answer: Answer) -> None:
    found = [endpoint for endpoint in at.endpoints if (endpoint.method, endpoint.path) == (method, resource)]
    is_problem = answer.headers.get("Content-Type") == PROBLEM
    # An internal error is a bug, which no description lists.
    if found and is_problem and answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        problem = answer.json
        described = {error.code for error in errors_of(found[0]) if error.status == answer.status}
        assert problem["code"] in described, f"{method} {resource} does not declare {problem['code']}: {problem}"


def _routed(path: str, at: App) -> tuple[str, dict[str, str]]:
    """Return the gateway's resource for *path*, literal paths first, and the path parameters."""
    for resource in sorted(at.routes, key=lambda known: known.count("{")):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(resource))
        if found := re.fullmatch(pattern, path):
            return resource, found.groupdict()
    # The gateway drops a slash at the end; the application takes such a path for a folder's alone.
    folders = {endpoint.path for endpoint in at.endpoints if endpoint.folder}
    return (path[:-1] if path[:-1] in folders else path), {}
