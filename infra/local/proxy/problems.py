"""Problem documents of the proxy, and translations of errors that the emulator's gateway words unlike AWS."""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus

from aiohttp import web

from chalicelib.core import errors


def problem(status: HTTPStatus, detail: str, retry_after_seconds: int | None = None) -> web.Response:
    """Return a problem document (RFC 9457) with a request id of its own."""
    body = errors.problem(status, detail, str(uuid.uuid4()))
    # As at the gateway: a page of any origin may read an error that holds no user's data.
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    return web.json_response(body, status=status, headers=headers, content_type=errors.PROBLEM)


def crowded() -> web.Response:
    """Return 503 for a request without a free place in time."""
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests are being served.", 1)


def too_slow() -> web.Response:
    """Return 408 for a request whose body did not come in time."""
    return problem(HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time.")


def too_large() -> web.Response:
    """Return 413 for a request with a body that no gateway takes."""
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than this API takes.")


def many_connections() -> web.Response:
    """Return 503 for a connection above the number that the proxy holds."""
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open.", 1)


def slow_head() -> web.Response:
    """Return 408 for a connection whose head did not come in time."""
    return problem(HTTPStatus.REQUEST_TIMEOUT, "The head of the request did not come in time.")


def malformed() -> web.Response:
    """Return 400 for a request that is not HTTP/1.1. The text quotes nothing of the request."""
    return problem(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP/1.1.")


def long_line() -> web.Response:
    """Return 414 for a request line over the proxy's limit."""
    return problem(HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long.")


def long_field() -> web.Response:
    """Return 431 for a header over the proxy's limit."""
    return problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "A header of the request is too long.")


def no_path() -> web.Response:
    """Return 400 for a request target that is no path."""
    return problem(HTTPStatus.BAD_REQUEST, "The target of the request must be a path.")


def not_allowed() -> web.Response:
    """Return 405 for a method that no path answers."""
    answer = problem(HTTPStatus.METHOD_NOT_ALLOWED, "This path does not answer that method.")
    answer.headers["Allow"] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    return answer


def encoded() -> web.Response:
    """Return 415 for a body with a content encoding (RFC 9110, section 15.5.16)."""
    answer = problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be sent without a Content-Encoding.")
    answer.headers["Accept-Encoding"] = "identity"
    return answer


def refused(status: int) -> web.Response:
    """Return the problem of a WebSocket connection that the API refuses. The emulator answers 403, whatever the reason.

    AWS's gateway passes on the status of the API: 401 without a valid token or ticket, 429 for too many connections.
    """
    if status == HTTPStatus.FORBIDDEN:
        return problem(HTTPStatus.FORBIDDEN, "The connection needs a valid token or ticket, or too many are open.")
    return broken()


def fault() -> web.Response:
    """Return 500 for a fault of the proxy itself."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side.")


def unreachable() -> web.Response:
    """Return 503 for an API that accepts no connection."""
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "The API cannot be reached at the moment.", 1)


def broken() -> web.Response:
    """Return 502 for an API that was reached but did not finish its answer."""
    return problem(HTTPStatus.BAD_GATEWAY, "The API broke off before it answered.")


def late() -> web.Response:
    """Return 504 for an API that did not answer in time, as AWS's gateway does. The call may have been done."""
    return problem(HTTPStatus.GATEWAY_TIMEOUT, "The API did not answer in time.")


def translated(status: int, content_type: str, body: bytes) -> web.Response | None:
    """Return AWS's answer in place of an internal error of the emulator, else None.

    The API's own errors are problem documents, and are therefore never translated.
    """
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and not body and content_type != errors.PROBLEM:
        # The emulator is ending.
        return broken()
    if content_type != "application/json":
        return None
    if status == HTTPStatus.TOO_MANY_REQUESTS and {"__type", "Reason"} <= fields(body):
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "No function instance is free.", 1)
    if status == HTTPStatus.BAD_GATEWAY and fields(body) == {"message"}:
        return problem(HTTPStatus.BAD_GATEWAY, "The function ended before it answered.")
    return None


def fields(body: bytes) -> set[str]:
    """Return the field names of a JSON object, an empty set for any other text."""
    try:
        value = json.loads(body)
    except ValueError:
        return set()
    return set(value) if isinstance(value, dict) else set()
