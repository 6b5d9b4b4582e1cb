"""Routes: a slice's handlers, and for each its options.

A handler is a function of one `Call` (and its path's parameters) that returns a model, or raises a `ServiceError`.
Everything else about its route is data, from which the API's description and the waiting function's routes are read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

from chalice.app import Blueprint
from pydantic import BaseModel

from chalicelib.core import errors
from chalicelib.core.runtime import ids
from chalicelib.core.web.roles import PUBLIC, SIGNED_IN, Caller, Role

Body = TypeVar("Body")
Asked = TypeVar("Asked")
Handler = Callable[..., Any]


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
    operation: Operation = field(default_factory=_new_operation)
    if_match: str | None = None


def _no_body() -> Mapping[int, Any]:
    return {200: None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a route, which `Routes.add` takes by these names. The API's description is read from them too."""

    #: A caller needs one of these; an administrator needs none.
    roles: frozenset[Role] = SIGNED_IN
    #: The model of the body; with *body_optional*, a request without a body has an empty object.
    body: type[BaseModel] | None = None
    body_optional: bool = False
    #: The model of the query string.
    query: type[BaseModel] | None = None
    #: The type of each parameter in the path.
    params: Mapping[str, Any] = field(default_factory=dict)
    #: The model of each status that the handler answers with, the usual status first; None is an answer without a body.
    answers: Mapping[int, Any] = field(default_factory=_no_body)
    #: The errors of its own, for the description.
    raises: tuple[type[errors.ServiceError], ...] = ()
    #: The route may hold its request for seconds, and runs in a function of its own.
    waits: bool = False
    #: The answer holds a secret: an idempotency record keeps nothing of it, so a retry is refused.
    secret: bool = False
    #: ``?ticket=`` opens the route too; for a GET only.
    tickets: bool = False
    #: The route heeds ``If-Match``.
    versioned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Options):
    """One route: its options, its place and its handler."""

    method: str
    path: str
    handler: Handler

    @property
    def summary(self) -> str:
        """The handler's docstring."""
        return (self.handler.__doc__ or "").strip()

    @property
    def replayable(self) -> bool:
        """Whether it heeds an Idempotency-Key: every POST of a caller who is signed in does."""
        return self.method == "POST" and self.roles != PUBLIC


@dataclass(frozen=True, slots=True)
class Answer:
    """A model with a status other than the usual one, or with headers."""

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
    """Let a method that takes options be called with the keywords of *make*, which mypy checks as if written there."""

    def decorate(
        add: Callable[["Routes", str, str, Options], Register],
    ) -> Callable[Concatenate["Routes", str, str, _Given], Register]:
        @wraps(add)
        def call(routes: "Routes", method: str, path: str, /, *args: _Given.args, **given: _Given.kwargs) -> Register:
            return add(routes, method, path, make(*args, **given))

        return call

    return decorate


class Routes(Blueprint):
    """A slice's routes, which `App.mount` registers. Handlers stay callable as they were written."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.endpoints: list[Endpoint] = []

    @_by_keywords(Options)
    def add(self, method: str, path: str, options: Options) -> Register:
        """Register the decorated handler, with the keywords of `Options`.

        Raises:
            TypeError: there is no such option.
            ValueError: a ticket would open a route that is not a GET.
        """
        if options.tickets and method != "GET":
            raise ValueError("a ticket stands in an address, and an address changes nothing")

        given = {option.name: getattr(options, option.name) for option in fields(options)}

        def register(handler: Handler) -> Handler:
            self.endpoints.append(Endpoint(method=method, path=path, handler=handler, **given))
            return handler

        return register
