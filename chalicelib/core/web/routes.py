"""Routes: the handlers of a slice, each with options.

A handler is a function of a `Call` and the path's parameters. A handler returns a model or raises a `ServiceError`. The
options of a route are data, from which the OpenAPI description is derived.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, wraps
from inspect import cleandoc
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from chalice.app import Blueprint
from pydantic import BaseModel

from chalicelib.core import errors
from chalicelib.core.runtime import ids
from chalicelib.core.web.roles import PUBLIC, SIGNED_IN, Caller, Role
from chalicelib.core.web.signed import Signed
from chalicelib.core.web.source import Address

Body = TypeVar("Body")
Asked = TypeVar("Asked")
Handler = Callable[..., Any]


class Operation:
    """The id of one logical operation. Retries of a call share the id; created resources use the id as their own.

    *repeated*: an earlier attempt may have done the work, and died before responding. Without a given id, the operation
    is new, and gets its id where the id is first asked for: most reads never ask.
    """

    def __init__(self, given: str | None = None, *, repeated: bool = False) -> None:
        self._given, self.repeated = given, repeated

    @cached_property
    def id(self) -> str:
        """The id, the same at each reading."""
        return self._given or ids.new_id()


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Asked]):
    """An admitted and validated request: the caller, and body and query as models."""

    caller: Caller
    body: Body
    query: Asked
    operation: Operation = field(default_factory=Operation)
    if_match: str | None = None
    #: Where the request came from; None if the gateway names no address.
    source: Address | None = None
    #: The Idempotency-Key, on a route that heeds it itself (`Options.keyed`).
    key: str | None = None
    #: The id of the last event that a client of a stream got (`Options.stream`).
    last_event_id: str | None = None


def _no_body() -> Mapping[int, Any]:
    return {200: None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a route, and the keywords of `Routes.add`. The OpenAPI description is derived from the options."""

    #: A caller needs at least one of the roles; an administrator is always admitted.
    roles: frozenset[Role] = SIGNED_IN
    #: The model of the body; with *body_optional*, a request without a body has an empty object.
    body: type[BaseModel] | None = None
    body_optional: bool = False
    #: The longest body that the route takes, if more than the general limit (`HTTP_MAX_BODY_BYTES`).
    largest_body_bytes: int = 0
    #: The model of the query string.
    query: type[BaseModel] | None = None
    #: The type of each parameter in the path.
    params: Mapping[str, Any] = field(default_factory=dict)
    #: The model of each status that the handler answers with, the usual status first; None is an answer without a body.
    answers: Mapping[int, Any] = field(default_factory=_no_body)
    #: The errors of the handler, for the OpenAPI description.
    raises: tuple[type[errors.ServiceError], ...] = ()
    #: The route may hold its request for seconds. The proxy of a local stack counts such requests apart.
    waits: bool = False
    #: The answer holds a secret: an idempotency record keeps nothing of it, so a retry is refused.
    secret: bool = False
    #: The handler heeds the Idempotency-Key itself, in its own write.
    keyed: bool = False
    #: The answer is a stream of events for a browser's EventSource (`streams`): 200 or 204, failures are events. A
    #: function of its own serves these routes, so that held streams take no place from other calls.
    stream: bool = False
    #: ``?ticket=`` opens the route too; for a GET only.
    tickets: bool = False
    #: Returns the caller of a signed call that has no token, whatever the roles of the route. Raises `Unauthenticated`
    #: for a wrong signature. Without a signer the route takes tokens alone.
    signer: Callable[[Signed], Caller] | None = None
    #: The route heeds ``If-Match``; a GET answers with an ETag and heeds ``If-None-Match``.
    versioned: bool = False
    #: Media types of an answer that is text and not JSON; the handler names the type in its headers.
    media: tuple[str, ...] = ()
    #: The path is a folder of pages: answered with a slash at its end, and redirected there without one (308).
    folder: bool = False
    #: The path is for browsers alone: a GET that prefers text/html is redirected to this folder below the path (302).
    #: To all other calls the path is unknown. The handler is never called.
    start: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Options):
    """A route: options, method, path and handler."""

    method: str
    path: str
    handler: Handler

    @property
    def summary(self) -> str:
        """The handler's docstring, without the indentation of its source."""
        return cleandoc(self.handler.__doc__ or "")

    @property
    def replayable(self) -> bool:
        """Whether the route heeds an Idempotency-Key: every POST that requires a session does."""
        return self.method == "POST" and self.roles != PUBLIC


@dataclass(frozen=True, slots=True)
class Answer:
    """A model with an unusual status, or with headers."""

    status: int
    model: Any
    headers: Mapping[str, str] | None = None


Register = Callable[[Handler], Handler]
_Given = ParamSpec("_Given")


def _by_keywords(
    make: Callable[_Given, Options],
) -> Callable[
    [Callable[["Routes", str, str, Options], Register]], Callable[Concatenate["Routes", str, str, _Given], Register]
]:
    """Let a method that takes `Options` be called with the keywords of *make*, which mypy checks at each call."""

    def decorate(
        add: Callable[["Routes", str, str, Options], Register],
    ) -> Callable[Concatenate["Routes", str, str, _Given], Register]:
        @wraps(add)
        def call(routes: "Routes", method: str, path: str, /, *args: _Given.args, **given: _Given.kwargs) -> Register:
            return add(routes, method, path, make(*args, **given))

        return call

    return decorate


class Routes(Blueprint):
    """The routes of a slice, registered by `App.mount`. Decorated handlers stay plain functions."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.endpoints: list[Endpoint] = []

    @_by_keywords(Options)
    def add(self, method: str, path: str, options: Options) -> Register:
        """Return the decorator that registers a handler; takes the keywords of `Options`.

        Raises:
            TypeError: there is no such option.
            ValueError: a ticket or a signature would open a route that is not a GET.
        """
        if options.tickets and method != "GET":
            raise ValueError("a ticket stands in an address, and an address changes nothing")
        if options.signer and method != "GET":
            raise ValueError("the signed text holds no body")

        given = {option.name: getattr(options, option.name) for option in fields(options)}

        def register(handler: Handler) -> Handler:
            self.endpoints.append(Endpoint(method=method, path=path, handler=handler, **given))
            return handler

        return register
