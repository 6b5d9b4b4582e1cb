"""HTTP to API Gateway event and back: the application behind a long-lived server, as WSGI (PEP 3333).

It stands where the gateway stands and decides nothing: a request becomes the event that the deployed gateway would send
(AWS, "Input format of a Lambda function for proxy integration"), and the application answers both alike. Like the
gateway it bounds how many requests are held. One thing differs: a server hands the path over decoded, so an escaped
slash separates; no name in this API has one.
"""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote

from chalicelib import errors, http, ids, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from chalicelib.gateway import App

#: As long as a function may take for an answer.
_INVOCATION_MS = 29_000
#: What stands in a path unescaped (RFC 3986, section 3.3): what a caller wrote so is handed on so.
_PLAIN_IN_PATHS = "/:@!$&'()*+,;="


class Found(NamedTuple):
    """The route of a path, and what stands in its placeholders; without a route, the path itself."""

    resource: str
    params: dict[str, str] | None


class Paths:
    """Finds the route of a path, a literal segment before a placeholder, as the gateway does."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._by_length: dict[int, list[tuple[str, list[str]]]] = {}
        for template, segments in sorted(
            ((one, one.split("/")) for one in templates), key=lambda pair: [_placeholder(part) for part in pair[1]]
        ):
            self._by_length.setdefault(len(segments), []).append((template, segments))

    def find(self, path: str) -> Found:
        """Return the route of *path*, which is escaped; so are the values of placeholders."""
        given = path.split("/")
        for template, segments in self._by_length.get(len(given), ()):
            pairs = list(zip(segments, given, strict=True))
            if all(value if _placeholder(part) else part == value for part, value in pairs):
                return Found(template, {part[1:-1]: value for part, value in pairs if _placeholder(part)} or None)
        return Found(path, None)


class Context:
    """What a function's context tells the application: how long it may still take."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _INVOCATION_MS / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left, 0 if none are."""
        return max(0, int((self._until - time.monotonic()) * 1000))


class Server:
    """A WSGI application that asks *app*. At most *held* requests to routes that wait are in it at once.

    Safe for threads.
    """

    def __init__(self, app: App, *, held: int) -> None:
        self._app, self._paths = app, Paths(app.routes)
        self._waiting = {(endpoint.method, endpoint.path) for endpoint in app.endpoints if endpoint.waits}
        self._places = BoundedSemaphore(held)
        self._longest_body = settings.load().http.max_body_bytes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer one request."""
        event = self._event(environ)
        asked = event["requestContext"]
        with self._place(asked["httpMethod"], asked["resourcePath"]) as free:
            answer = self._app(event, Context()) if free else _crowded(asked["requestId"])
        status = HTTPStatus(answer["statusCode"])
        start_response(f"{status.value} {status.phrase}", [(name, str(value)) for name, value in _headers(answer)])
        return [answer["body"].encode()]

    @contextmanager
    def _place(self, method: str, resource: str) -> Iterator[bool]:
        """Tell whether the request may come in: those that do not wait always may."""
        if (method, resource) not in self._waiting:
            yield True
        elif self._places.acquire(blocking=False):
            try:
                yield True
            finally:
                self._places.release()
        else:
            yield False

    def _event(self, environ: WSGIEnvironment) -> dict[str, Any]:
        path = quote(environ["PATH_INFO"].encode("latin-1"), safe=_PLAIN_IN_PATHS)
        found, headers = self._paths.find(path), dict(_sent(environ))
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(environ["QUERY_STRING"], keep_blank_values=True):
            query.setdefault(name, []).append(value)
        # One byte more than is allowed is enough for the application to refuse it.
        body = environ["wsgi.input"].read(self._longest_body + 1).decode(errors="replace")
        return {
            "resource": found.resource,
            "path": path,
            "httpMethod": environ["REQUEST_METHOD"],
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": found.params,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": found.resource,
                "httpMethod": environ["REQUEST_METHOD"],
                "path": path,
                "protocol": environ["SERVER_PROTOCOL"],
                "requestId": str(uuid.uuid4()),
                "identity": {"sourceIp": environ["REMOTE_ADDR"], "userAgent": environ.get("HTTP_USER_AGENT")},
            },
            "body": body or None,
            "isBase64Encoded": False,
        }


def load(held: int) -> Server:
    """Return the server of this repository's application; a process of its own calls this."""
    from app import app  # noqa: PLC0415 # in the process that serves, not in the one that starts it

    return Server(app, held=held)


def _placeholder(segment: str) -> bool:
    return segment.startswith("{")


def _sent(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name.removeprefix("HTTP_").replace("_", "-").title(), value
        elif name in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            yield name.replace("_", "-").title(), value


def _headers(answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from answer["headers"].items()
    for name, values in answer.get("multiValueHeaders", {}).items():
        yield from ((name, value) for value in values)


def _crowded(request_id: str) -> dict[str, Any]:
    """Return what a gateway says where no function is free."""
    error = errors.Unavailable("Too many requests are waiting here.", retry_after_seconds=1)
    headers = {"Content-Type": http.PROBLEM, "X-Request-Id": request_id, "X-Instance-Id": ids.INSTANCE_ID}
    return {
        "statusCode": int(error.status),
        "headers": headers | {"Cache-Control": "no-store", **error.headers()},
        "body": json.dumps(errors.problem(error, request_id)),
    }
