"""HTTP to API Gateway event and back: the application behind a long-lived server, as WSGI (PEP 3333).

This module takes the gateway's place and decides nothing. Each request becomes the event that the deployed gateway
would send (AWS, "Input format of a Lambda function for proxy integration"), so the application treats both alike. As
behind the gateway, an incomplete request is refused before the application's handler runs, and a request that finds no
free place in time gets 503 with Retry-After. A single difference remains: a WSGI server decodes the path, so an escaped
slash (%2F) separates segments. No name in this API contains a slash.
"""

from __future__ import annotations

import os
import secrets
import time
from functools import lru_cache
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote

from chalicelib.core import errors
from chalicelib.core.runtime import settings, waiting
from infra.server.route_table import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from chalicelib.core.web.application import App

#: The deadline of an answer, the same as a function's.
_INVOCATION_MS = 29_000
#: A request without a free place after this time is refused with Retry-After.
_QUEUE_SECONDS = 10.0
#: Characters that a path may hold unescaped (RFC 3986, section 3.3). They are passed on as the caller wrote them.
_PLAIN_IN_PATHS = "/:@!$&'()*+,;="

#: The names of headers in an environ that lack the prefix HTTP_ (PEP 3333).
_HEADERS_WITHOUT_PREFIX = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
_STATUS_LINES = {status.value: f"{status.value} {errors.phrase(status)}" for status in HTTPStatus}


class NoLength(errors.ServiceError):
    """The body must be sent with a Content-Length."""

    status = HTTPStatus.LENGTH_REQUIRED
    code = errors.CODES[status]


class Context:
    """The part of a Lambda context that the application uses: the time left for the answer."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _INVOCATION_MS / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left, 0 after the deadline."""
        return max(0, int((self._until - time.monotonic()) * 1000))


class Places(NamedTuple):
    """The concurrent requests of a process: at most *at_work*, and beside them *held* requests that wait."""

    at_work: int
    held: int


class Server:
    """A WSGI application in front of *app* that bounds concurrent requests by *places*.

    Thread-safe. Every request queues for a place at work, for up to ten seconds. A request whose handler begins to wait
    gives that place up for a held place, which the request keeps to its end.
    """

    def __init__(self, app: App, places: Places) -> None:
        self._app, self._paths = app, Paths(app.routes)
        self._held, self._at_work = BoundedSemaphore(places.held), BoundedSemaphore(places.at_work)
        largest = max((endpoint.largest_body_bytes for endpoint in app.endpoints), default=0)
        self._longest_body = max(largest, settings.load(settings.HttpSettings).max_body_bytes)
        # The server adds headers to the process's own environment variables, some of which also begin with HTTP_.
        self._process_variables = frozenset(os.environ) - _HEADERS_WITHOUT_PREFIX

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer one request."""
        # Reading one byte more than allowed is enough: the application refuses the body as too long.
        read = self._longest_body + 1
        body = environ["wsgi.input"].read(read)
        answer = self._answer(self._event(environ, body), _broken(environ, body, read))
        start_response(_STATUS_LINES[answer["statusCode"]], [(name, str(value)) for name, value in _headers(answer)])
        return [answer["body"].encode()]

    def _answer(self, event: dict[str, Any], broken: errors.ServiceError | None) -> dict[str, Any]:
        if broken:
            return self._app.refuse(event, broken)
        if not self._at_work.acquire(timeout=_QUEUE_SECONDS):
            return self._app.refuse(event, errors.Unavailable("Too many requests are here.", retry_after_seconds=1))
        place = _Place(self._at_work, self._held)
        try:
            with waiting.bind(place.begin_to_wait):
                return self._app(event, Context())
        finally:
            place.give_back()

    def _event(self, environ: WSGIEnvironment, body: bytes) -> dict[str, Any]:
        path = quote(environ["PATH_INFO"].encode("latin-1"), safe=_PLAIN_IN_PATHS)
        found, headers = self._paths.find(path), dict(self._sent_headers(environ))
        query: dict[str, list[str]] = {}
        if asked := environ["QUERY_STRING"]:
            for name, value in parse_qsl(asked, keep_blank_values=True):
                query.setdefault(name, []).append(value)
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
                "requestId": secrets.token_hex(16),
                "identity": {"sourceIp": environ["REMOTE_ADDR"], "userAgent": environ.get("HTTP_USER_AGENT")},
            },
            "body": body.decode(errors="replace") or None,
            "isBase64Encoded": False,
        }

    def _sent_headers(self, environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the headers of the request."""
        # Most names are of the process's environment; a difference of sets skips them in a single step.
        for name in environ.keys() - self._process_variables:
            if name.startswith("HTTP_"):
                yield _header_name(name[5:]), environ[name]
            elif name in _HEADERS_WITHOUT_PREFIX and environ[name]:
                yield _header_name(name), environ[name]


class _Place:
    """The place of one request: at work, and held once the request's handler waits."""

    def __init__(self, at_work: BoundedSemaphore, held: BoundedSemaphore) -> None:
        self._own, self._held = at_work, held

    def begin_to_wait(self) -> bool:
        """Exchange the place at work for a held place, if a held place is free; return whether the place is held."""
        if self._own is self._held:
            return True
        if not self._held.acquire(blocking=False):
            return False
        self._own.release()
        self._own = self._held
        return True

    def give_back(self) -> None:
        """Free the place."""
        self._own.release()


@lru_cache(maxsize=1024)
def _header_name(name: str) -> str:
    return name.replace("_", "-").title()


def load(places: Places) -> Server:
    """Return the server of this repository's application. Called once in each server process."""
    from app import app  # noqa: PLC0415 # loaded by each server process, not by the process that starts them

    return Server(app, places)


def _broken(environ: WSGIEnvironment, body: bytes, read: int) -> errors.ServiceError | None:
    """Return the error of a body that is not known to be whole, else None. At most *read* bytes were read."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        # Granian ends a body of chunks alike whether the last chunk came or the connection broke.
        return NoLength()
    if len(body) < min(int(environ.get("CONTENT_LENGTH") or 0), read):
        return errors.Malformed("The body broke off.")
    return None


def _headers(answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from answer["headers"].items()
    for name, values in answer.get("multiValueHeaders", {}).items():
        yield from ((name, value) for value in values)
