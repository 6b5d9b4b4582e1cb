"""The reasons for which a call is refused or fails.

    EgressError
    ├── AddressRefused   is `Invalid`      calls to the address are refused
    ├── HeaderRefused    is `Invalid`      the header is refused
    ├── Unreachable      is `Unavailable`  network, certificate or protocol failed
    │   └── UnknownName                    the name does not exist
    └── TimedOut         is `Unavailable`  the server was silent, or the deadline passed

An `Invalid` error is permanent. After an `Unavailable` error another try may succeed; whether the server has acted is
unknown.
"""

from enum import StrEnum

from chalicelib.core.errors import FieldError, Invalid, ServiceError, Unavailable


class Failure(StrEnum):
    """The reason for which a call brought no answer. The words are stable: they are stored and shown."""

    ADDRESS_REFUSED = "address-refused"
    HEADER_REFUSED = "header-refused"
    #: The name does not exist, or the lookup failed.
    NAME = "name"
    #: No server listens on the port.
    REFUSED = "refused"
    #: The network knows no way to the address.
    UNREACHABLE = "unreachable"
    #: The server speaks no TLS, another version of TLS, or has an invalid certificate.
    TLS = "tls"
    #: The server closed the connection without an answer.
    RESET = "reset"
    #: The answer is no HTTP/1.1, or has too many or too long headers.
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"


class EgressError(ServiceError):
    """A call brought no answer.

    *failure* is the reason. *duration_ms* is the time that the call took; an error of `check` has no duration.
    """

    failure: Failure
    duration_ms: int | None = None


class AddressRefused(Invalid, EgressError):
    """Calls to the address are refused. The reason never reveals the addresses of a name."""

    code = "address-refused"
    failure = Failure.ADDRESS_REFUSED

    def __init__(self, reason: str, field: str = "url") -> None:
        super().__init__([FieldError(field, reason)], reason)


class HeaderRefused(Invalid, EgressError):
    """The header is refused."""

    failure = Failure.HEADER_REFUSED

    def __init__(self, name: str) -> None:
        super().__init__([FieldError("headers", f"{name!a} cannot be sent.")])


class Unreachable(Unavailable, EgressError):
    """The server could not be reached."""

    def __init__(self, detail: str = "", failure: Failure = Failure.UNREACHABLE) -> None:
        super().__init__(detail)
        self.failure = failure


class UnknownName(Unreachable):
    """No server has this name."""

    def __init__(self) -> None:
        super().__init__(failure=Failure.NAME)


class TimedOut(Unavailable, EgressError):
    """The server did not answer in time."""

    failure = Failure.TIMEOUT
