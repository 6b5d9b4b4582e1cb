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

from chalicelib.core.errors import FieldError, Invalid, ServiceError, Unavailable


class EgressError(ServiceError):
    """A call brought no answer."""


class AddressRefused(Invalid, EgressError):
    """Calls to the address are refused. The reason never reveals the addresses of a name."""

    code = "address-refused"

    def __init__(self, reason: str, field: str = "url") -> None:
        super().__init__([FieldError(field, reason)], reason)


class HeaderRefused(Invalid, EgressError):
    """The header is refused."""

    def __init__(self, name: str) -> None:
        super().__init__([FieldError("headers", f"{name!a} cannot be sent.")])


class Unreachable(Unavailable, EgressError):
    """The server could not be reached."""


class UnknownName(Unreachable):
    """No server has this name."""


class TimedOut(Unavailable, EgressError):
    """The server did not answer in time."""
