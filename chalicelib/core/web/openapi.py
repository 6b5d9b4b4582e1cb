"""The API's description in OpenAPI 3.1, generated from the models that validate the requests."""

import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from chalicelib.core import errors
from chalicelib.core.coordination.errors import ClaimLost, KeyReused, ShownOnce, StillAnswering
from chalicelib.core.web import reserved, signed
from chalicelib.core.web.credentials import SAFE, cookie_name
from chalicelib.core.web.requests import IDEMPOTENCY_KEY, JSON, TICKET
from chalicelib.core.web.roles import PUBLIC, Role
from chalicelib.core.web.routes import Endpoint
from chalicelib.core.web.streams import MEDIA

_REFS = "#/components/schemas/{model}"
_PROBLEM = {
    "type": "object",
    "required": ["type", "code", "title", "status", "detail", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "`/problems/` and the code"},
        "code": {"type": "string", "description": "stable, for machines; docs/problems.md has a section for each"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}

_KEY_PARAMETER = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "Identifies the call for 24 hours. A repeated call with the same key and body gets the same answer "
    "(`Idempotency-Replayed: true`), and the work is done once.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}

_EVENT_ID_PARAMETER = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last event that you got; an EventSource sends it by itself.",
    "schema": {"type": "string"},
}

_MATCH_PARAMETER = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the expected version, if `version` is not sent; or a list of ETags, or `*` for any.",
    "schema": {
        "type": "string",
        "pattern": r'^(\*|(W/)?"[1-9][0-9]{0,15}"([ \t]*,[ \t]*(W/)?"[1-9][0-9]{0,15}")*)$',
    },
}

_NONE_MATCH_PARAMETER = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the version that you hold: 304 if the version is the current one.",
    "schema": {"type": "string"},
}


_SIGNATURE = (
    "of the method, the path and the query, by the webhook's secret, with webhook-id and webhook-timestamp as Standard "
    "Webhooks says; docs/webhooks.md has the text that is signed"
)


#: The body of a request, and the bodies of answers by status, of operations by name.
Examples = Mapping[str, Mapping[str, Any]]


def describe(endpoints: Iterable[Endpoint], version: str, examples: Examples) -> str:
    """Return the OpenAPI document as JSON. *examples* are shown with the operations that they belong to."""
    endpoints = list(endpoints)
    schemas, definitions = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        taken = reserved.chosen(endpoint, [known.path for known in endpoints])
        operation = _operation(endpoint, schemas, taken)
        _add_examples(operation, examples.get(endpoint.handler.__name__, {}))
        paths.setdefault(_path(endpoint), {})[endpoint.method.lower()] = operation
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "Holdfast", "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
            # The address at which this document was read, without its last part.
            "servers": [{"url": ".", "description": "the deployment that answered"}],
            "tags": [{"name": name, "description": said} for name, said in _tags(endpoints).items()],
            "paths": paths,
            "components": {
                "schemas": {**definitions, "Problem": _PROBLEM},
                "securitySchemes": _schemes(),
            },
        }
    )


def _schemes() -> dict[str, Any]:
    """Return the ways to show a session; a browser's pages use the cookie."""
    cookie = "the token of a session, set by signing in with `cookie: true`; any call but GET needs an allowed Origin"
    return {
        "session": {"type": "http", "scheme": "bearer", "description": "the token of a session, or an API key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": cookie_name(), "description": cookie},
        "ticket": {"type": "apiKey", "in": "query", "name": TICKET, "description": "opens once, within 30 seconds"},
        "signature": {"type": "apiKey", "in": "header", "name": signed.HEADER, "description": _SIGNATURE},
    }


def _schemas(endpoints: list[Endpoint]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return a reference for each model and use, and the referenced definitions."""
    wanted = {(model, "validation") for endpoint in endpoints for model in (endpoint.body,) if model}
    wanted |= {
        (model, "serialization")
        for endpoint in endpoints
        for model in endpoint.answers.values()
        if isinstance(model, type) and issubclass(model, BaseModel)
    }
    ordered: list[Any] = sorted(wanted, key=lambda use: (use[0].__name__, use[1]))
    references, document = models_json_schema(
        ordered, by_alias=True, ref_template=_REFS, schema_generator=GenerateJsonSchema
    )
    return dict(references), document.get("$defs", {})


def _operation(endpoint: Endpoint, schemas: dict[Any, Any], taken: reserved.Reserved) -> dict[str, Any]:
    summary, _, more = endpoint.summary.partition("\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "tags": [_tag(endpoint)],
        "summary": summary,
        "description": inspect.cleandoc(f"{more}\n\nRoles: {_roles(endpoint)}."),
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, schemas),
        "security": _security(endpoint),
    }
    if endpoint.body:
        schema = _without(taken, schemas[endpoint.body, "validation"])
        operation["requestBody"] = {"required": not endpoint.body_optional, "content": {JSON: {"schema": schema}}}
    return operation


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    if endpoint.roles == PUBLIC:
        return []
    others = {"ticket": endpoint.tickets, "signature": endpoint.signer}
    return [{name: []} for name in ("session", "cookie", *(name for name, taken in others.items() if taken))]


def _tag(endpoint: Endpoint) -> str:
    """Return the name of the slice of *endpoint*."""
    return endpoint.handler.__module__.split(".")[-2]


def _tags(endpoints: Iterable[Endpoint]) -> dict[str, str]:
    """Return what each slice is, by its name: the first sentence of its package."""
    found = {}
    for endpoint in endpoints:
        package = sys.modules[endpoint.handler.__module__.rpartition(".")[0]]
        found[_tag(endpoint)] = (package.__doc__ or "").partition("\n")[0].partition(": ")[2]
    return found


def _add_examples(operation: dict[str, Any], found: Mapping[str, Any]) -> None:
    if "request" in found:
        operation["requestBody"]["content"][JSON]["example"] = found["request"]
    for status, body in found.get("answers", {}).items():
        operation["responses"][status]["content"][JSON]["example"] = body


def _without(taken: reserved.Reserved, schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* without the values that *taken* has for each field."""
    refused = {to_camel(name): {"not": {"enum": sorted(words)}} for name, words in taken.items() if words}
    return {"allOf": [schema, {"properties": refused}]} if refused else schema


def _roles(endpoint: Endpoint) -> str:
    if endpoint.roles == PUBLIC:
        return "none needed"
    return "any" if endpoint.roles == frozenset(Role) else ", ".join(sorted(endpoint.roles | {Role.ADMIN}))


def _path(endpoint: Endpoint) -> str:
    # Parameters have snake_case names in code and camelCase names in the API.
    return endpoint.path.format_map({name: f"{{{to_camel(name)}}}" for name in endpoint.params})


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = [_path_parameter(to_camel(name), TypeAdapter(kind).json_schema()) for name, kind in endpoint.params.items()]
    if endpoint.replayable or endpoint.keyed:
        found.append(_KEY_PARAMETER)
    if endpoint.stream:
        found.append(_EVENT_ID_PARAMETER)
    if endpoint.versioned:
        found.append(_NONE_MATCH_PARAMETER if endpoint.method == "GET" else _MATCH_PARAMETER)
    if endpoint.tickets:
        found.append({"name": TICKET, "in": "query", "required": False, "schema": {"type": "string"}})
    if endpoint.query:
        # Query models are flat: the only definitions are enumerations, which are inlined.
        schema = endpoint.query.model_json_schema(by_alias=True)
        required, known = schema.get("required", ()), schema.get("$defs", {})
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": _inlined(field, known)}
            for name, field in schema["properties"].items()
        ]
    return found


def _path_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": schema["description"], "schema": schema}


def _inlined(field: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(field, dict):
        if "$ref" in field:
            return definitions[field["$ref"].rpartition("/")[2]]
        return {name: _inlined(value, definitions) for name, value in field.items()}
    return [_inlined(item, definitions) for item in field] if isinstance(field, list) else field


def _responses(endpoint: Endpoint, schemas: dict[Any, Any]) -> dict[str, Any]:
    responses = {str(status): _answer(status, model, schemas) for status, model in endpoint.answers.items()}
    if endpoint.stream:
        responses["200"] = {"description": "events", "content": {MEDIA: {}}}
    if endpoint.media:
        text = {media: {"schema": {"type": "string"}} for media in endpoint.media}
        responses["200"] = {"description": HTTPStatus.OK.phrase, "content": text}
    if endpoint.folder:
        responses["308"] = {"description": "the path lacks the slash at its end"}
    if endpoint.versioned and endpoint.method == "GET":
        responses["304"] = {"description": HTTPStatus.NOT_MODIFIED.phrase}
    codes: dict[HTTPStatus, set[str]] = {}
    for error in errors_of(endpoint):
        codes.setdefault(error.status, set()).add(error.code)
    for status, known in codes.items():
        found = responses.setdefault(str(int(status)), {"description": errors.phrase(status)})
        found.setdefault("content", {})[errors.PROBLEM] = {"schema": _problem(known)}
    return responses


def _problem(codes: Iterable[str]) -> dict[str, Any]:
    """Return the schema of a problem that has one of *codes*."""
    return {
        "allOf": [
            {"$ref": _REFS.format(model="Problem")},
            {"properties": {"code": {"enum": sorted(codes)}}},
        ]
    }


def _answer(status: int, model: Any, schemas: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": errors.phrase(status)}
    if model is not None:
        described["content"] = {JSON: {"schema": schemas.get((model, "serialization"), {"type": "object"})}}
    return described


def errors_of(endpoint: Endpoint) -> list[type[errors.ServiceError]]:
    """Return every error of a route: the declared errors of the handler, and the errors that the options imply.

    Of a stream only those that come before the route; all others are events.
    """
    if endpoint.stream:
        return [errors.NotAllowed, errors.TooLarge]
    found: list[type[errors.ServiceError]] = [*endpoint.raises, errors.NotAllowed, errors.TooLarge, errors.Unavailable]
    if endpoint.roles != PUBLIC:
        found += [errors.Unauthenticated, errors.Forbidden]
        found += [errors.OriginRefused] if endpoint.method not in SAFE else []
    if endpoint.replayable:
        found += [StillAnswering, KeyReused, errors.Invalid, errors.Malformed]
    if endpoint.replayable and endpoint.secret:
        found += [ShownOnce, ClaimLost]
    if endpoint.body:
        found += [errors.Malformed, errors.NotJson, errors.Invalid]
    if endpoint.query:
        found.append(errors.Invalid)
    if endpoint.params:
        found.append(errors.NotFound)
    return found
