"""The application object: one request, one response, one log record."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from chalice.app import Chalice, Request, Response

from chalicelib.core import errors
from chalicelib.core.runtime import deadline, ids, logs, settings
from chalicelib.core.web import reserved
from chalicelib.core.web.accept import prefers_html
from chalicelib.core.web.dispatch import Dispatcher, Keyed, Perform, Replay, refusal
from chalicelib.core.web.roles import PUBLIC, Caller
from chalicelib.core.web.routes import Endpoint, Operation, Routes

_OWN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Request-Id"
_EXPOSED_HEADERS = "ETag, Idempotency-Replayed, Retry-After, X-Instance-Id, X-Request-Id"

_request: ContextVar[Any] = ContextVar("request", default=None)
_context: ContextVar[Any] = ContextVar("context", default=None)


class _PerInvocation:
    """An attribute whose value each thread and task has separately."""

    def __init__(self, variable: ContextVar[Any]) -> None:
        self._variable = variable

    def __get__(self, instance: object, owner: type) -> Any:
        return self._variable.get()

    def __set__(self, instance: object, value: Any) -> None:
        self._variable.set(value)


def _no_tickets(_ticket: str, _path: str) -> Caller:
    raise errors.Unauthenticated


def _perform_anew(_call: Keyed, perform: Perform) -> Response:
    return perform(Operation())


class App(Chalice):
    """Chalice's application, thread-safe, with this API's error documents instead of chalice's own.

    Chalice keeps the current request on the application object, where threads would read each other's requests. Here
    the current request is a context variable, so a long-running server may share one application among threads.
    """

    current_request = _PerInvocation(_request)
    lambda_context = _PerInvocation(_context)

    def __init__(
        self,
        name: str,
        *,
        identify: Callable[[str], Caller],
        redeem: Callable[[str, str], Caller] = _no_tickets,
        replay: Replay = _perform_anew,
    ) -> None:
        """Make an application.

        *identify* returns the caller of a token; *redeem* returns the caller of a ticket at a path; *replay* answers a
        call with an Idempotency-Key. By default every ticket is refused, and a repeated call is a new call.
        """
        # `core.runtime.logs` configures the logger, with one handler.
        super().__init__(name, configure_logs=False)
        # Chalice's handlers of WebSockets are used for their functions and routes alone, and its client is not.
        self.experimental_feature_flags.add("WEBSOCKETS")
        self.identify, self.redeem, self.replay = identify, redeem, replay
        self.endpoints: list[Endpoint] = []
        #: Paths that answer HEAD: the paths that answer GET without a session.
        self._heads: set[str] = set()
        #: Paths of folders: the only paths with a slash at the end.
        self._folders: set[str] = set()
        #: Paths that redirect browsers, with the folder.
        self._starts: dict[str, str] = {}
        #: The longest body of each route with a limit of its own.
        self._longest: dict[tuple[str, str], int] = {}
        self._reserved: dict[tuple[str, str], reserved.Reserved] = {}

    def mount(self, *slices: Routes) -> None:
        """Register the routes of *slices*."""
        for routes in slices:
            # Sets `current_app` and `current_request`; no other feature of blueprints is used.
            self.register_blueprint(routes)
            for endpoint in routes.endpoints:
                self._serve(endpoint)
            self.endpoints += routes.endpoints
        # A route of one slice may reserve a word in a route of another.
        self._reserved = {}

    def reserved(self, endpoint: Endpoint) -> reserved.Reserved:
        """Return the reserved words of each field by which a caller of *endpoint* chooses an id."""
        route = endpoint.method, endpoint.path
        if route not in self._reserved:
            self._reserved[route] = reserved.chosen(endpoint, [known.path for known in self.endpoints])
        return self._reserved[route]

    def _serve(self, endpoint: Endpoint) -> None:
        # Without content types chalice checks none; `requests.body` checks, with this API's error documents.
        registered = self.route(
            endpoint.path, methods=[endpoint.method], name=endpoint.handler.__name__, content_types=[]
        )
        registered(Dispatcher(self, endpoint))
        if endpoint.method == "GET" and endpoint.roles == PUBLIC:
            self._heads.add(endpoint.path)
        if endpoint.largest_body_bytes:
            self._longest[endpoint.method, endpoint.path] = endpoint.largest_body_bytes
        if endpoint.folder:
            self._folders.add(endpoint.path)
        if endpoint.start:
            self._starts[endpoint.path] = endpoint.start

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one API Gateway event. Never raises."""
        with deadline.bind(context):
            return self._with_log_record(event, lambda headers: self._answer(event, context, headers))

    def refuse(self, event: dict[str, Any], error: errors.ServiceError) -> dict[str, Any]:
        """Answer *event* with *error* without calling a route, for an entry point that must reject the request."""
        return self._with_log_record(event, lambda _: dict(refusal(error).to_dict()))

    def _with_log_record(
        self, event: dict[str, Any], answer: Callable[[Mapping[str, str]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the response of *answer* to the event's headers, with the common headers; print the log record."""
        request_context = event["requestContext"]
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        request_id = _request_id(headers, request_context)
        with logs.invocation("request") as line:
            line.add(requestId=request_id, method=request_context["httpMethod"], route=request_context["resourcePath"])
            response = answer(headers)
            line.add(status=response["statusCode"])
        response["headers"] |= {"X-Request-Id": request_id, "X-Instance-Id": ids.INSTANCE_ID, **_cors(headers)}
        return response

    def _answer(self, event: dict[str, Any], context: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        request_context = event["requestContext"]
        resource = request_context["resourcePath"]
        methods = [*self.routes.get(resource, {}), *(["HEAD"] if resource in self._heads else [])]
        if not _is_exact(event, folder=resource in self._folders):
            methods = []
        if start := self._starts.get(resource):
            if request_context["httpMethod"] in methods and prefers_html(headers.get("accept")):
                return _to_start(start, str(request_context.get("path") or "/"))
            methods = []
        if request_context["httpMethod"] == "OPTIONS" and methods and "access-control-request-method" in headers:
            return _preflight(methods)
        try:
            _check_route(event, methods, self._longest.get((request_context["httpMethod"], resource), 0))
        except errors.ServiceError as error:
            return dict(refusal(error).to_dict())
        if resource in self._folders and not _path(event).endswith("/"):
            return _to_folder(resource)
        if request_context["httpMethod"] != "HEAD":
            return self._call_route(event, context)
        # The gateway's any-method of a path brings HEAD here; the answer is GET's, without the body.
        read = {**event, "httpMethod": "GET", "requestContext": {**request_context, "httpMethod": "GET"}}
        return {**self._call_route(read, context), "body": ""}

    def _call_route(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Call the route's dispatcher, which answers every error itself.

        Chalice's own handler would look for middleware, content types and binary bodies, of which no route has any.
        """
        self.lambda_context, self.current_request = context, Request(event, context)
        request_context = event["requestContext"]
        entry = self.routes[request_context["resourcePath"]][request_context["httpMethod"]]
        params = {name: event["pathParameters"][name] for name in entry.view_args}
        return dict(entry.view_function(**params).to_dict())


def _check_route(event: dict[str, Any], methods: Sequence[str], longest_body: int) -> None:
    if not methods:
        raise errors.NotFound
    if event["requestContext"]["httpMethod"] not in methods:
        raise errors.NotAllowed(sorted(methods))
    if _body_bytes(event) > max(longest_body, settings.load(settings.HttpSettings).max_body_bytes):
        raise errors.TooLarge


def _path(event: Mapping[str, Any]) -> str:
    # `chalice local` names the path in the context alone.
    return str(event.get("path") or event["requestContext"].get("path") or "/")


def _is_exact(event: Mapping[str, Any], *, folder: bool) -> bool:
    """Return whether the path of *event* has no empty segment; the path of a *folder* may end with a slash.

    A gateway drops empty segments before it looks for the route (``/health/``, ``//health``); a server of our own does
    not. A single rule for all entry points: such a path is unknown.
    """
    path = _path(event)
    return "//" not in path and (path == "/" or folder or not path.endswith("/"))


def _to_folder(resource: str) -> dict[str, Any]:
    """Redirect to the folder *resource*, relative to the path: the gateway's stage stays in front."""
    location = f"{resource.rpartition('/')[2]}/"
    return {"statusCode": 308, "body": "", "headers": {"Location": location, "Cache-Control": "no-store"}}


def _to_start(folder: str, path: str) -> dict[str, Any]:
    """Redirect to *folder* below *path*, the path as sent: a gateway's root is its stage, with or without a slash."""
    location = folder if path.endswith("/") else f"{path.rpartition('/')[2]}/{folder}"
    return {"statusCode": 302, "body": "", "headers": {"Location": location, "Cache-Control": "no-store"}}


def _body_bytes(event: dict[str, Any]) -> int:
    body = event.get("body") or ""
    # `chalice local` passes bytes, and never says whether a body is base64.
    if isinstance(body, bytes):
        return len(body)
    # Base64 is a third longer. The size is computed without decoding, and may be two bytes too small.
    return len(body) // 4 * 3 - 2 if event.get("isBase64Encoded") else len(body.encode(errors="replace"))


def _request_id(headers: Mapping[str, str], request_context: Mapping[str, Any]) -> str:
    own = headers.get("x-request-id", "")
    # `chalice local` gives a request no id.
    return own if _OWN_ID.fullmatch(own) else str(request_context.get("requestId") or ids.new_id())


def _preflight(methods: list[str]) -> dict[str, Any]:
    return {
        "statusCode": 204,
        "body": "",
        "headers": {
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Max-Age": str(settings.load(settings.HttpSettings).preflight_max_age_seconds),
        },
    }


def _cors(headers: Mapping[str, str]) -> dict[str, str]:
    origin, allowed = headers.get("origin"), settings.load(settings.HttpSettings).allowed_origins
    if not allowed:
        return {}
    # Responses vary by origin; caches must know so also for a refused origin.
    if origin is None or not allowed & {origin, "*"}:
        return {"Vary": "Origin"}
    # Cookies are for named origins alone: with "*" any page could read a user's data.
    by_cookie = {"Access-Control-Allow-Credentials": "true"} if origin in allowed else {}
    return by_cookie | {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _EXPOSED_HEADERS,
        "Vary": "Origin",
    }
