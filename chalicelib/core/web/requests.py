"""What a request must pass: body, query, path and header, each as a model or a value, or refused as a whole."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from chalice.app import Request
from pydantic import BaseModel, TypeAdapter, ValidationError

from chalicelib.core import errors

JSON = "application/json"
IDEMPOTENCY_KEY = "Idempotency-Key"
#: The query parameter that holds one.
TICKET = "ticket"

_KEY = re.compile(r"[!-~]{1,255}")

#: A caller names fields as the contract does; our own spelling of them is an unknown field.
_OUTSIDE: Any = {"by_alias": True, "by_name": False}


def validated(check: Callable[[], Any]) -> Any:
    """Return what *check*, a pydantic validation, makes of its input.

    Raises:
        Malformed: it is not JSON.
        Invalid: every field that was refused, without its value.
    """
    try:
        return check()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        raise errors.Malformed
    raise errors.Invalid([errors.FieldError(".".join(map(str, fault["loc"])), fault["msg"]) for fault in faults])


def body(model: type[BaseModel] | None, request: Request, *, optional: bool) -> Any:
    """Return the body as *model*; one that is left out, where that is *optional*, as an empty object.

    Raises:
        NotJson, Malformed, Invalid: what is sent is not that.
    """
    if model is None:
        return None
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON:
        raise errors.NotJson
    raw = request.raw_body or (b"{}" if optional else b"")
    return validated(lambda: model.model_validate_json(raw, **_OUTSIDE))


def query(model: type[BaseModel] | None, request: Request, *, tickets: bool) -> Any:
    """Return the query as *model*; a ticket is no part of it where *tickets* are taken.

    Raises:
        Invalid: a parameter is unknown, or cannot be accepted.
    """
    if model is None:
        return None
    given = dict(request.query_params or {})
    if tickets:
        given.pop(TICKET, None)
    return validated(lambda: model.model_validate(given, **_OUTSIDE))


def params(kinds: Mapping[str, TypeAdapter[Any]], given: Mapping[str, str]) -> dict[str, Any]:
    """Return what stands in the path.

    Raises:
        NotFound: it names nothing that could exist, so the path is not there.
    """
    try:
        # API Gateway hands over what stood in the path, as it was escaped there.
        return {name: kinds[name].validate_python(unquote(value)) for name, value in given.items()}
    except ValidationError:
        raise errors.NotFound from None


def idempotency_key(request: Request) -> str | None:
    """Return the request's idempotency key, or None.

    Raises:
        Invalid: it is not 1 to 255 visible ASCII characters.
    """
    key: str | None = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None and not _KEY.fullmatch(key):
        raise errors.Invalid([errors.FieldError(IDEMPOTENCY_KEY, "must be 1 to 255 visible ASCII characters")])
    return key


def concrete(request: Request) -> str:
    """Return the path as it was asked for, without the stage that a gateway puts before it."""
    return str(request.path.format_map(request.uri_params or {}))
