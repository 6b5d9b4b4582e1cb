"""Validates requests: body, query, path and headers become models or values, or the whole request is refused."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

from chalice.app import Request
from pydantic import BaseModel, TypeAdapter, ValidationError

from chalicelib.core import errors
from chalicelib.core.web.messages import message

JSON = "application/json"
IDEMPOTENCY_KEY = "Idempotency-Key"
#: Name of the query parameter that carries a session ticket.
TICKET = "ticket"

_KEY = re.compile(r"[!-~]{1,255}")

#: U+FFFD in UTF-8. Gateways put it in the place of bytes that are not UTF-8, so two different bodies would become one.
_REPLACED = "\ufffd".encode()

_NOT_UTF8 = "The body is not UTF-8. U+FFFD must be written as an escape: \\ufffd."

#: Callers use the camelCase names of the API; the snake_case names of the code are unknown fields.
_OUTSIDE: Any = {"by_alias": True, "by_name": False}


def validated(check: Callable[[], Any]) -> Any:
    """Return the result of *check*, a pydantic validation.

    Raises:
        Malformed: the input is not JSON.
        Invalid: lists every invalid field, without values, each with a sentence of the field's words.
    """
    try:
        return check()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        raise errors.Malformed
    raise errors.Invalid([errors.FieldError(".".join(map(str, fault["loc"])), message(fault)) for fault in faults])


def body(model: type[BaseModel] | None, request: Request, *, optional: bool) -> Any:
    """Return the body as *model*. With *optional*, a missing body counts as an empty object.

    Raises:
        NotJson, Malformed, Invalid: the body has another media type, is not JSON in UTF-8, or does not match *model*.
    """
    if model is None:
        return None
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON:
        raise errors.NotJson
    raw = content(request) or (b"{}" if optional else b"")
    return validated(lambda: model.model_validate_json(raw, **_OUTSIDE))


def content(request: Request) -> bytes:
    """Return the bytes of the body, empty without a body.

    Raises:
        Malformed: the bytes are not UTF-8, or hold an unescaped U+FFFD, which stands for bytes that a gateway replaced.
    """
    try:
        raw: Any = request.raw_body
        raw.decode()
    except ValueError:
        raise errors.Malformed(_NOT_UTF8) from None
    if _REPLACED in raw:
        raise errors.Malformed(_NOT_UTF8)
    return bytes(raw)


def query(model: type[BaseModel] | None, request: Request, *, tickets: bool) -> Any:
    """Return the query as *model*. With *tickets*, the ticket parameter is left out.

    Raises:
        Invalid: a parameter is unknown, is given twice, or cannot be accepted.
    """
    if model is None:
        return None
    sent: Any = request.query_params or {}
    given = dict(sent)
    if twice := [name for name in given if len(sent.getlist(name)) > 1]:
        raise errors.Invalid([errors.FieldError(name, "given more than once") for name in twice])
    if tickets:
        given.pop(TICKET, None)
    return validated(lambda: model.model_validate(given, **_OUTSIDE))


def params(kinds: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of the path, validated as *kinds*.

    Raises:
        NotFound: a parameter is invalid, so no such path exists.
    """
    try:
        # API Gateway passes path parameters percent-encoded.
        return {name: _adapter(kinds[name]).validate_python(unquote(value)) for name, value in given.items()}
    except ValidationError:
        raise errors.NotFound from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the validator of a type, compiled on first use: few types stand in many paths."""
    return TypeAdapter(kind)


def idempotency_key(request: Request) -> str | None:
    """Return the request's idempotency key, or None.

    Raises:
        Invalid: the key is not 1 to 255 visible ASCII characters.
    """
    key: str | None = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None and not _KEY.fullmatch(key):
        raise errors.Invalid([errors.FieldError(IDEMPOTENCY_KEY, "must be 1 to 255 visible ASCII characters")])
    return key


def concrete(request: Request) -> str:
    """Return the requested path, with parameters filled in, without the stage prefix of a gateway."""
    return str(request.path.format_map(request.uri_params or {}))
