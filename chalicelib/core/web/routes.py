"""Routes: a slice's handlers, and for each its options.

A handler is a function of one `Call` (and its path's parameters) that returns a model, or raises a `ServiceError`.
Everything else about its route is data, from which the API's description and the waiting function's routes are read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from chalice.app import Blueprint
from pydantic import BaseModel, TypeAdapter

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


@dataclass(frozen=True, slots=True)
class Answer:
    """A model with a status other than the usual one, or with headers."""

    status: int
    model: Any
    headers: Mapping[str, str] | None = None


class Routes(Blueprint):
    """A slice's routes, which `App.mount` registers. Handlers stay callable as they were written."""

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
            return handler

        return register
