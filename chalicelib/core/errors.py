"""Errors that this service raises on purpose, and the problem document of each error.

    ServiceError
    ├── Malformed        400  the body is not JSON
    ├── Unauthenticated  401  no valid session
    ├── Forbidden        403  the wrong role
    │   ├── NotYours          another account's data
    │   └── OriginRefused     a call by cookie from a foreign page
    ├── NotFound         404
    ├── NotAllowed       405  the path exists, the method does not
    ├── Conflict         409  another call came first
    ├── TooLarge         413
    ├── NotJson          415
    ├── Invalid          422  some fields are invalid; the caller can correct the request
    ├── TooMany          429  too many calls; Retry-After says when to try again
    └── Unavailable      503  worth retrying; a worker leaves the message in the queue

Slices derive their own errors from these classes, each with a code of its own. The response body has the shape of
RFC 9457; `docs/problems.md` has a section for each code.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

#: The media type of a problem.
PROBLEM = "application/problem+json"
#: The phrases of RFC 9110, section 15, where Python before 3.13 has those of older RFCs.
_PHRASES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def phrase(status: int) -> str:
    """Return the phrase of *status* in RFC 9110, the same on every Python."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def problem(
    status: HTTPStatus,
    detail: str,
    request_id: str,
    members: Mapping[str, Any] | None = None,
    *,
    code: str | None = None,
) -> dict[str, Any]:
    """Return the problem object (RFC 9457) of *status*, with further *members*; callers read *detail*.

    Without a *code*, the problem has the status's own code of `CODES`.
    """
    code = code or CODES[status]
    return {
        "type": f"/problems/{code}",
        "code": code,
        "title": phrase(status),
        "status": int(status),
        "detail": detail,
        "requestId": request_id,
        **(members or {}),
    }


class FieldError(NamedTuple):
    """One invalid field: a dotted path into the request, and the reason."""

    path: str
    message: str


class ServiceError(Exception):
    """Root of the tree. ``str(error)`` is safe to show to a caller."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    #: The stable name for machines. An error without a code of its own, which no caller sees, inherits one.
    code: ClassVar[str] = "internal-error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or (type(self).__doc__ or "").partition("\n")[0])

    def headers(self) -> Mapping[str, str]:
        """Return headers that the response must carry besides the problem document."""
        return {}

    def members(self) -> Mapping[str, Any]:
        """Return further members of the problem object (RFC 9457, section 3.2)."""
        return {}

    def problem(self, request_id: str) -> dict[str, Any]:
        """Return the problem object of this error, without any text of a driver's error."""
        return problem(self.status, str(self), request_id, self.members(), code=self.code)


class Malformed(ServiceError):
    """The body is not valid JSON."""

    status = HTTPStatus.BAD_REQUEST
    code = "malformed"


class Unauthenticated(ServiceError):
    """A valid session token is needed."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"

    def headers(self) -> Mapping[str, str]:
        """Return the header that names the authentication scheme (RFC 6750, section 3)."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(ServiceError):
    """Your roles do not allow this."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotYours(Forbidden):
    """This belongs to someone else."""

    code = "not-yours"


class OriginRefused(Forbidden):
    """A call by cookie must come from a page of this API's own, or of an allowed origin."""

    code = "origin-refused"


class NotFound(ServiceError):
    """There is nothing here."""

    status = HTTPStatus.NOT_FOUND
    code = "not-found"


class NotAllowed(ServiceError):
    """This path does not answer that method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method-not-allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self._allowed = allowed

    def headers(self) -> Mapping[str, str]:
        """Return the header that names the allowed methods (RFC 9110, section 15.5.6)."""
        return {"Allow": ", ".join(self._allowed)}


class Conflict(ServiceError):
    """Someone else got there first."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class TooLarge(ServiceError):
    """The body is larger than this path takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too-large"


class NotJson(ServiceError):
    """The body must be sent as application/json."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "not-json"


class Invalid(ServiceError):
    """Some fields cannot be accepted."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid-fields"

    def __init__(self, errors: Sequence[FieldError], detail: str = "") -> None:
        super().__init__(detail)
        self.errors = tuple(errors)

    def members(self) -> Mapping[str, Any]:
        """Return every invalid field, not only the first."""
        return {"errors": [error._asdict() for error in self.errors]}


class TooMany(ServiceError):
    """Too many calls."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too-many-requests"

    def __init__(self, detail: str = "", retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self._retry_after_seconds = retry_after_seconds

    def headers(self) -> Mapping[str, str]:
        """Return the header that says when to try again (RFC 6585, section 4)."""
        return {"Retry-After": str(self._retry_after_seconds)}


class Unavailable(ServiceError):
    """A store cannot be reached just now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"

    def __init__(self, detail: str = "", retry_after_seconds: int = 2) -> None:
        super().__init__(detail)
        self._retry_after_seconds = retry_after_seconds

    def headers(self) -> Mapping[str, str]:
        """Return the header that says when to try again (RFC 9110, section 10.2.3)."""
        return {"Retry-After": str(self._retry_after_seconds)}


_BASES: tuple[type[ServiceError], ...] = (
    ServiceError,
    Malformed,
    Unauthenticated,
    Forbidden,
    NotFound,
    NotAllowed,
    Conflict,
    TooLarge,
    NotJson,
    Invalid,
    TooMany,
    Unavailable,
)
#: The general code of each status. Gateway, proxy and server answer with these codes before the application does.
CODES: Mapping[HTTPStatus, str] = {
    **{error.status: error.code for error in _BASES},
    HTTPStatus.REQUEST_TIMEOUT: "request-timeout",
    HTTPStatus.LENGTH_REQUIRED: "length-required",
    HTTPStatus.REQUEST_URI_TOO_LONG: "path-too-long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "header-too-long",
    HTTPStatus.BAD_GATEWAY: "bad-gateway",
    HTTPStatus.GATEWAY_TIMEOUT: "gateway-timeout",
}
