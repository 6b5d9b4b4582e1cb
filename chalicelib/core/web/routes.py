"""Routes: a request becomes a model, a handler's model becomes an answer.

A handler is a function of one `Call` (and its path's parameters) that returns a model, or raises a `ServiceError`.
Everything else about its route is data, from which the API's description and the waiting function's routes are read.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from chalice.app import Blueprint, Request, Response
from pydantic import BaseModel, TypeAdapter

from chalicelib.core import errors
from chalicelib.core.runtime import ids, logs
from chalicelib.core.web import credentials, requests
from chalicelib.core.web.requests import JSON, TICKET
from chalicelib.core.web.roles import NOBODY, PUBLIC, SIGNED_IN, Caller, Role

Body = TypeVar("Body")
Asked = TypeVar("Asked")
Handler = Callable[..., Any]

PROBLEM = "application/problem+json"


class Operation(NamedTuple):
    """What a call does, under an id that it shares with its retries: what it makes is made under that.

    *repeated*: an earlier attempt may have done it already, and died before it could say so.
    """

    id: str
    repeated: bool = False


def _new_operation() -> Operation:
    return Operation(ids.new_id())


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Asked]):
    """One request that passed the edge: its caller, its body and its query as models."""

    caller: Caller
    body: Body
    query: Asked
    remaining_ms: int
    operation: Operation = field(default_factory=_new_operation)
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All that is known of a route besides its code."""

    method: str
    path: str
    handler: Handler
    summary: str
    roles: frozenset[Role]
    body: type[BaseModel] | None
    body_optional: bool
    query: type[BaseModel] | None
    params: Mapping[str, TypeAdapter[Any]]
    answers: Mapping[int, Any]
    raises: tuple[type[errors.ServiceError], ...]
    waits: bool
    secret: bool
    tickets: bool
    versioned: bool

    @property
    def replayable(self) -> bool:
        """Whether it heeds an Idempotency-Key: every POST of someone who is signed in does."""
        return self.method == "POST" and self.roles != PUBLIC


class Keyed(NamedTuple):
    """A call that came with an Idempotency-Key. *content* is what a retry must bring the same."""

    key: str
    caller: str
    endpoint: Endpoint
    content: bytes


#: Performs the call's operation and renders its answer.
Perform = Callable[[Operation], Response]
Replay = Callable[[Keyed, Perform], Response]


class Routes(Blueprint):
    """A slice's routes. Handlers stay callable as they were written."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.endpoints: list[Endpoint] = []

    def add(
        self,
        method: str,
        path: str,
        *,
        roles: frozenset[Role] = SIGNED_IN,
        body: type[BaseModel] | None = None,
        body_optional: bool = False,
        query: type[BaseModel] | None = None,
        params: Mapping[str, Any] | None = None,
        answers: Mapping[int, Any] | None = None,
        raises: tuple[type[errors.ServiceError], ...] = (),
        waits: bool = False,
        secret: bool = False,
        tickets: bool = False,
        versioned: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register the decorated handler.

        *answers* maps each status it may answer with to that answer's model, the first being the usual one; None is an
        answer without a body. *raises* are the errors of its own, for the API's description. A route that *waits* may
        hold its request for seconds and runs in a function of its own. Of the answer of a *secret* one nothing is kept,
        so a retry of it is refused. One that takes *tickets* also opens to ``?ticket=``; it must be a GET. A
        *versioned* one heeds ``If-Match``.
        """
        if tickets and method != "GET":
            raise ValueError("a ticket stands in an address, and an address changes nothing")

        def register(handler: Handler) -> Handler:
            endpoint = Endpoint(
                method=method,
                path=path,
                handler=handler,
                summary=(handler.__doc__ or "").strip(),
                roles=roles,
                body=body,
                body_optional=body_optional,
                query=query,
                params={name: TypeAdapter(kind) for name, kind in (params or {}).items()},
                answers=answers or {200: None},
                raises=raises,
                waits=waits,
                secret=secret,
                tickets=tickets,
                versioned=versioned,
            )
            self.endpoints.append(endpoint)
            # Without content types chalice checks none, and the body's own check answers as this API does.
            self.route(path, methods=[method], name=handler.__name__, content_types=[])(_Door(self, endpoint))
            return handler

        return register


class _Door:
    """What chalice calls for one route: in through the checks, out through the renderer, errors as problems."""

    def __init__(self, routes: Routes, endpoint: Endpoint) -> None:
        self._routes, self.endpoint = routes, endpoint
        self.__name__ = endpoint.handler.__name__

    def __call__(self, **params: str) -> Response:
        app: Any = self._routes.current_app
        try:
            return self._answer(app, app.current_request, params)
        except errors.ServiceError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001 # the outermost edge: nothing of a fault may reach a caller
            logs.failed("request_failed", error)
            return refusal(errors.ServiceError("Something went wrong on our side."))

    def _answer(self, app: Any, request: Request, params: Mapping[str, str]) -> Response:
        endpoint = self.endpoint
        call = Call(
            caller=_admit(endpoint, request, app),
            body=requests.body(endpoint.body, request, optional=endpoint.body_optional),
            query=requests.query(endpoint.query, request, tickets=endpoint.tickets),
            remaining_ms=app.lambda_context.get_remaining_time_in_millis(),
            if_match=request.headers.get("if-match") if endpoint.versioned else None,
        )
        checked = requests.params(endpoint.params, params)

        def perform(operation: Operation) -> Response:
            return render(endpoint, endpoint.handler(replace(call, operation=operation), **checked))

        keyed = _keyed(endpoint, request, call.caller)
        answer: Response = app.replay(keyed, perform) if keyed else perform(call.operation)
        return answer


@dataclass(frozen=True, slots=True)
class Answer:
    """A model with a status other than the usual one, or with headers."""

    status: int
    model: Any
    headers: Mapping[str, str] | None = None


def render(endpoint: Endpoint, given: Any) -> Response:
    """Return *given* (a model, text that is JSON already, an `Answer` or None) as a response."""
    answer = given if isinstance(given, Answer) else Answer(next(iter(endpoint.answers)), given)
    headers: dict[str, Any] = {"Cache-Control": "no-store", **(answer.headers or {})}
    if answer.model is None:
        return Response(body="", status_code=answer.status, headers=headers)
    body = answer.model.model_dump_json() if isinstance(answer.model, BaseModel) else answer.model
    return Response(body=body, status_code=answer.status, headers={"Content-Type": JSON, **headers})


def refusal(error: errors.ServiceError) -> Response:
    """Return *error* as a problem (RFC 9457)."""
    body = json.dumps(errors.problem(error, logs.line().fields.get("requestId", "")))
    headers: dict[str, Any] = {"Content-Type": PROBLEM, "Cache-Control": "no-store", **error.headers()}
    return Response(body=body, status_code=int(error.status), headers=headers)


def _admit(endpoint: Endpoint, request: Request, app: Any) -> Caller:
    if endpoint.roles == PUBLIC:
        return NOBODY
    asked: Mapping[str, str] = request.query_params or {}
    caller: Caller
    if (token := credentials.sent(request.method, request.headers)) is not None:
        caller = app.identify(token)
    elif endpoint.tickets and TICKET in asked:
        caller = app.redeem(asked[TICKET], requests.concrete(request))
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
    content: Any = request.raw_body
    # Escaped or not, it is the same path: one door hands over what was sent, another what it means.
    path = unquote(requests.concrete(request))
    return Keyed(key, caller.username, endpoint, f"{path}\n".encode(errors="replace") + content)
