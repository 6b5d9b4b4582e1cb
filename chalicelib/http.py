"""Routes: a request becomes a model, a handler's model becomes an answer.

A handler is a function of one `Call` (and its path's parameters) that returns a model, or raises a `ServiceError`.
Everything else about its route is data, from which the API's description and the waiting function's routes are read.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from chalice.app import Blueprint, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError

from chalicelib import errors, ids, logs, tokens

Body = TypeVar("Body")
Asked = TypeVar("Asked")
Handler = Callable[..., Any]

JSON = "application/json"
PROBLEM = "application/problem+json"
IDEMPOTENCY_KEY = "Idempotency-Key"
#: The query parameter that holds one.
TICKET = "ticket"

_KEY = re.compile(r"[!-~]{1,255}")

#: A caller names fields as the contract does; our own spelling of them is an unknown field.
_OUTSIDE: Any = {"by_alias": True, "by_name": False}


class Role(StrEnum):
    """What a caller may be. `ADMIN` may do all."""

    ADMIN = "admin"
    OFFICER = "officer"
    SERVICE = "service"
    USER = "user"


#: For routes that need no session.
PUBLIC: frozenset[Role] = frozenset()
#: For routes that any session opens.
SIGNED_IN = frozenset(Role)
#: For routes of the administrator alone.
ADMIN_ONLY = frozenset({Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, as their session says."""

    username: str
    roles: frozenset[Role]
    session_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return Role.ADMIN in self.roles

    def may_act_for(self, *usernames: str) -> None:
        """Let an administrator and the named users through.

        Raises:
            Forbidden: the caller is neither.
        """
        if not self.is_admin and self.username not in usernames:
            raise errors.Forbidden("This belongs to someone else.")


NOBODY = Caller(username="", roles=frozenset())


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
    ) -> Callable[[Handler], Handler]:
        """Register the decorated handler.

        *answers* maps each status it may answer with to that answer's model, the first being the usual one; None is an
        answer without a body. *raises* are the errors of its own, for the API's description. A route that *waits* may
        hold its request for seconds and runs in a function of its own. Of the answer of a *secret* one nothing is kept,
        so a retry of it is refused. One that takes *tickets* also opens to ``?ticket=``; it must be a GET.
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
            body=_body(endpoint, request),
            query=_query(endpoint, request),
            remaining_ms=app.lambda_context.get_remaining_time_in_millis(),
        )
        checked = _params(endpoint, params)

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


def _admit(endpoint: Endpoint, request: Request, app: Any) -> Caller:
    if endpoint.roles == PUBLIC:
        return NOBODY
    asked: Mapping[str, str] = request.query_params or {}
    caller: Caller
    if (token := tokens.sent(request.method, request.headers)) is not None:
        caller = app.identify(token)
    elif endpoint.tickets and TICKET in asked:
        caller = app.redeem(asked[TICKET], _concrete(request))
    else:
        raise errors.Unauthenticated
    logs.line().add(user=caller.username)
    if not caller.is_admin and not caller.roles & endpoint.roles:
        raise errors.Forbidden
    return caller


def _body(endpoint: Endpoint, request: Request) -> Any:
    model = endpoint.body
    if model is None:
        return None
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON:
        raise errors.NotJson
    raw = request.raw_body or (b"{}" if endpoint.body_optional else b"")
    return validated(lambda: model.model_validate_json(raw, **_OUTSIDE))


def _query(endpoint: Endpoint, request: Request) -> Any:
    model = endpoint.query
    if model is None:
        return None
    given = dict(request.query_params or {})
    if endpoint.tickets:
        given.pop(TICKET, None)
    return validated(lambda: model.model_validate(given, **_OUTSIDE))


def _keyed(endpoint: Endpoint, request: Request, caller: Caller) -> Keyed | None:
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None or not endpoint.replayable:
        return None
    if not _KEY.fullmatch(key):
        raise errors.Invalid([errors.FieldError(IDEMPOTENCY_KEY, "must be 1 to 255 visible ASCII characters")])
    body: Any = request.raw_body
    return Keyed(key, caller.username, endpoint, f"{_concrete(request)}\n".encode() + body)


def _concrete(request: Request) -> str:
    """Return the path as it was asked for, without the stage that a gateway puts before it."""
    return str(request.path.format_map(request.uri_params or {}))


def _params(endpoint: Endpoint, given: Mapping[str, str]) -> dict[str, Any]:
    try:
        # API Gateway hands over what stood in the path, as it was escaped there.
        return {name: endpoint.params[name].validate_python(unquote(value)) for name, value in given.items()}
    except ValidationError:
        # A path that names nothing that could exist is a path that is not there.
        raise errors.NotFound from None
