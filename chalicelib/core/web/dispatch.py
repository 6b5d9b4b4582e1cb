"""Dispatch of one route: admits the caller, reads the request, calls the handler and renders the response."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import unquote

from chalice.app import Request, Response
from pydantic import BaseModel

from chalicelib.core import errors
from chalicelib.core.records import etags
from chalicelib.core.runtime import accounts, hops, logs
from chalicelib.core.web import credentials, requests, reserved, signed, streams
from chalicelib.core.web.requests import JSON, TICKET
from chalicelib.core.web.roles import NOBODY, PUBLIC, Caller
from chalicelib.core.web.routes import Answer, Call, Endpoint, Operation
from chalicelib.core.web.source import source_of

_HOPS = hops.HEADER.lower()


class Keyed(NamedTuple):
    """A call with an Idempotency-Key. A retry has the same *path*, *body* and *caller*, a text per account."""

    key: str
    caller: str
    endpoint: Endpoint
    path: str
    body: bytes


#: Performs the call's operation and renders its answer.
Perform = Callable[[Operation], Response]
Replay = Callable[[Keyed, Perform], Response]


class Dispatcher:
    """The view function of one route of *app*: admits the caller, reads the request, renders response or error.

    Never raises: a `ServiceError` becomes a problem document, any other error a 500 whose cause is in the log alone.
    """

    def __init__(self, app: Any, endpoint: Endpoint) -> None:
        self._app, self._endpoint = app, endpoint
        self.__name__ = endpoint.handler.__name__

    def __call__(self, **params: str) -> Response:
        """Answer the current request; *params* are the parameters of the path."""
        try:
            return self._answer(self._app.current_request, params)
        except errors.ServiceError as error:
            return self._refuse(error)
        except Exception as error:  # noqa: BLE001 # the outermost edge: no detail of a bug may reach a caller
            logs.failed("request_failed", error)
            return self._refuse(errors.ServiceError("Something went wrong on our side."))

    def _refuse(self, error: errors.ServiceError) -> Response:
        """Return *error* as a problem; on a stream as an event."""
        if not self._endpoint.stream:
            return refusal(error)
        logs.line().add(error=error.code)
        return render(self._endpoint, streams.refused(error))

    def _answer(self, request: Request, params: Mapping[str, str]) -> Response:
        app, endpoint = self._app, self._endpoint
        if endpoint.stream and streams.is_over(request):
            return render(endpoint, streams.OVER)
        if (led := request.headers.get(_HOPS)) is not None:
            logs.line().add(hops=hops.read(led))
        call = Call(
            caller=_admit(endpoint, request, app),
            body=requests.body(endpoint.body, request, optional=endpoint.body_optional),
            query=requests.query(endpoint.query, request, tickets=endpoint.tickets),
            if_match=request.headers.get("if-match") if endpoint.versioned else None,
            source=source_of(request.context, request.headers),
            key=requests.idempotency_key(request) if endpoint.keyed else None,
            last_event_id=streams.last_event_id(request) if endpoint.stream else None,
        )
        reserved.check(call.body, app.reserved(endpoint))
        checked = requests.params(endpoint.params, params)

        def perform(operation: Operation) -> Response:
            own = call if operation is call.operation else replace(call, operation=operation)
            return render(endpoint, endpoint.handler(own, **checked))

        keyed = _keyed(endpoint, request, call.caller)
        answer: Response = app.replay(keyed, perform) if keyed else perform(call.operation)
        return _unless_unchanged(request, answer)


def render(endpoint: Endpoint, given: Any) -> Response:
    """Return *given* (a model, JSON text, an `Answer` or None) as a response."""
    answer = given if isinstance(given, Answer) else Answer(next(iter(endpoint.answers)), given)
    headers: dict[str, Any] = {"Cache-Control": "no-store", **(answer.headers or {})}
    if answer.model is None:
        return Response(body="", status_code=answer.status, headers=headers)
    body = answer.model.model_dump_json() if isinstance(answer.model, BaseModel) else answer.model
    return Response(body=body, status_code=answer.status, headers={"Content-Type": JSON, **headers})


def _unless_unchanged(request: Request, answer: Response) -> Response:
    """Return *answer*, or 304 without a body if the caller of a read holds the answer's ETag already."""
    tag: Any = answer.headers.get("ETag")
    if request.method != "GET" or not etags.unchanged(tag, request.headers.get("if-none-match")):
        return answer
    return Response(body="", status_code=304, headers={"ETag": tag, "Cache-Control": answer.headers["Cache-Control"]})


def refusal(error: errors.ServiceError) -> Response:
    """Return *error* as a problem (RFC 9457)."""
    body = json.dumps(error.problem(logs.line().fields.get("requestId", "")))
    headers: dict[str, Any] = {"Content-Type": errors.PROBLEM, "Cache-Control": "no-store", **error.headers()}
    return Response(body=body, status_code=int(error.status), headers=headers)


def _admit(endpoint: Endpoint, request: Request, app: Any) -> Caller:
    if endpoint.roles == PUBLIC:
        return NOBODY
    query: Mapping[str, str] = request.query_params or {}
    caller: Caller
    if (token := credentials.read_credential(request.method, request.headers)) is not None:
        caller = app.identify(token)
    elif endpoint.tickets and TICKET in query:
        caller = app.redeem(query[TICKET], requests.concrete(request))
    elif endpoint.signer and (asked := signed.read(request)):
        caller = endpoint.signer(asked)
        logs.line().add(user=caller.username)
        return caller
    else:
        raise errors.Unauthenticated
    logs.line().add(user=caller.username)
    if not caller.is_admin and not caller.roles & endpoint.roles:
        raise errors.Forbidden
    return caller


def _keyed(endpoint: Endpoint, request: Request, caller: Caller) -> Keyed | None:
    key = requests.idempotency_key(request) if endpoint.replayable else None
    if key is None:
        return None
    # Unquoted, as one entry point passes the path as sent, and another passes the path decoded.
    path = unquote(requests.concrete(request))
    return Keyed(key, accounts.derivation(caller.account_id), endpoint, path, requests.content(request))
